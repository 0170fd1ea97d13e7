"""`otel-ml backtest` with a real Prometheus, over a past in which the firing intervals are known."""

import json
import re
import time
from datetime import datetime, timezone
from xml.etree import ElementTree as ET

import pytest
import yaml

from otel_ml_exporter.cli import main
from otel_ml_exporter.cli.backtest import scratch
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.rules import groups

pytestmark = pytest.mark.e2e

START = 1_700_006_400  # a whole number of minutes
HOURS = 12
MODEL = 'ml_model_name="churn",ml_model_version="3"'


def failing(minute):
    """Share of failed calls: 30 % from 2:00 to 3:00, 8 % from 6:00 to 6:30, else none."""
    return 0.3 if 120 <= minute < 180 else 0.08 if 360 <= minute < 390 else 0.0


def history(models=(MODEL,), *, stated=True):
    """Twelve hours of models that answer 100 calls a minute; the Prometheus saw no rules then, and has a threshold where it is `stated`."""
    calls = errors = 0.0
    lines = {"ml_model_info": [], "ml_threshold": [], "ml_inference_duration_seconds_count": []}
    for minute in range(HOURS * 60 + 1):
        at = START + 60 * minute
        failed = 100 * failing(minute)
        calls, errors = calls + 100 - failed, errors + failed
        count = "ml_inference_duration_seconds_count"
        for model in models:
            lines["ml_model_info"].append(f'ml_model_info{{{model},ml_baseline_id="b1"}} 1 {at}')
            lines[count] += [f"{count}{{{model}}} {calls} {at}", f'{count}{{{model},error_type="ValueError"}} {errors} {at}']
            if stated:
                lines["ml_threshold"].append(f'ml_threshold{{{model},ml_signal="error_budget",severity="critical"}} 0.01 {at}')
    for name, samples in lines.items():
        yield f"# TYPE {name} {'unknown' if name.endswith('_count') else 'gauge'}"
        yield from sorted(samples, key=lambda line: line.rpartition("}")[0])
    yield "# EOF"


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    file = tmp_path_factory.mktemp("past") / "history.om"
    file.write_text("".join(f"{line}\n" for line in history()))
    return file


@pytest.fixture(scope="module")
def server(past):
    """The same past in a Prometheus that already runs."""
    with scratch.filled(past) as prometheus:
        yield prometheus.url


def run(capsys, *words):
    code = main(["backtest", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def minutes(intervals):
    return [((each["start"] - START) / 60, (each["end"] - START) / 60) for each in intervals]


def outcome(told, variant, alert):
    (found,) = [each for each in told["variants"] if each["name"] == variant]
    return next((each for each in found["outcomes"] if each["alert"] == alert), None)


RULES = {
    "groups": [
        {
            "name": "own",
            "interval": "1m",
            "rules": [
                {
                    "record": "job:failing:ratio",
                    "expr": 'sum by (ml_model_name) (increase(ml_inference_duration_seconds_count{error_type!=""}[2m])) / sum by (ml_model_name) (increase(ml_inference_duration_seconds_count[2m]))',
                    "labels": {"team": "risk"},
                },
                {"record": "job:failing:twice", "expr": "2 * job:failing:ratio"},
                {"alert": "Plain", "expr": 'ml_inference_duration_seconds_count{error_type=""} > 50000', "labels": {"severity": "warning"}},
                {"alert": "Held", "expr": "job:failing:twice > 0.1", "for": "10m", "labels": {"severity": "critical"}},
                {
                    "alert": "Kept",
                    "expr": 'job:failing:ratio{team="risk"} > 0.05',
                    "for": "10m",
                    "keep_firing_for": "4h",
                    "labels": {"severity": "critical"},
                },
                {"alert": "Never", "expr": 'job:failing:ratio{team!="risk"} > 0', "labels": {"severity": "warning"}},
                {
                    "alert": "Later",
                    "expr": "job:failing:ratio offset 1h > 0.05 and max_over_time(job:failing:ratio[90m]) > 0.2",
                    "labels": {"severity": "warning"},
                },
                {"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none"}},
            ],
        }
    ]
}


def expected(above, hold, keep=0):
    """What Prometheus' own states give on the minutes when the ratio over 2m, ended by the sample of that minute, is above a limit."""
    ratio = [(failing(minute) + failing(minute - 1)) / 2 for minute in range(HOURS * 60 + 1)]
    fired, since, gone, intervals = None, None, None, []
    for minute, value in enumerate(ratio):
        if value > above:
            gone, since = None, minute if since is None else since
            if fired is None and minute - since >= hold:
                fired = minute
        elif fired is not None:
            gone = minute if gone is None else gone
            if minute - gone >= keep:
                intervals.append((fired, minute))
                fired = since = gone = None
        else:
            since = None
    return intervals


def test_own_rules_fire_when_prometheus_would_have_fired_them(server, tmp_path, capsys):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(RULES))
    end = START + HOURS * 3_600
    code, out, _ = run(capsys, tmp_path / "own.yaml", f"--prometheus={server}", f"--end={end}", f"--range={HOURS}h", "--json")
    told = json.loads(out)
    assert code == 0
    assert minutes(outcome(told, "as is", "Held")["incidents"]) == expected(0.05, 10) == [(130, 181), (371, 390)]
    assert minutes(outcome(told, "as is", "Kept")["incidents"]) == expected(0.05, 10, 240) == [(130, 630)]
    assert outcome(told, "as is", "Never") is None
    assert outcome(told, "as is", "Watchdog") is None
    assert minutes(outcome(told, "as is", "Later")["incidents"]) == [(180, 241)]
    (plain,) = outcome(told, "as is", "Plain")["incidents"]
    assert plain["open"]
    assert told["variants"][0]["pages_per_week"] == pytest.approx(3 * 14)


def test_the_pack_is_replayed_with_other_limits_side_by_side_and_drawn(past, tmp_path, capsys):
    """The file is enough: a Prometheus of its own is filled, asked and ended."""
    sets = ["--set=error_budget=0.004", "--set=error_budget=0.5,minimum_calls=50"]
    code, out, err = run(capsys, f"--history={past}", "--alert=ModelErrorBudgetBurn", f"--svg={tmp_path}/timeline.svg", *sets)
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.startswith("critical"))
    assert row.split()[:3] == ["critical", "ModelErrorBudgetBurn", "churn"]
    assert re.findall(r"(?<=  )(?:\d x|-)", row) == ["1 x", "2 x", "-"]
    assert re.search(r"pages a week +14\.0 +28\.0 +0\.0", out)
    picture = (tmp_path / "timeline.svg").read_text()
    assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert picture.count('fill="#D55E00"') == 3
    assert "Pages a week: as is: 14.0" in picture


def test_every_alert_of_the_pack_can_be_replayed_without_its_recordings(past, capsys):
    _, out, _ = run(capsys, f"--history={past}", "--json", "--range=1h", "--step=10m")
    assert json.loads(out)["variants"][0]["outcomes"] == []
    names = {alert.name for group in groups(Knobs()) for alert in group.alerts if alert.severity != "none"}
    _, out, _ = run(capsys, f"--history={past}", "--range=1h", "--step=10m")
    assert set(" ".join(out.split("never: ")[1].split("\n\n")[0].split()).split(", ")) == names


def test_more_pages_than_a_person_bears_are_a_no(server, capsys):
    given = [f"--prometheus={server}", f"--end={datetime.fromtimestamp(START + HOURS * 3_600, timezone.utc).isoformat()}", "--range=12h"]
    code, _, err = run(capsys, *given, "--alert=ModelErrorBudgetBurn", "--most-pages=2")
    assert code == 1
    assert "14.0 pages a week are more than 2" in err
    assert run(capsys, *given, "--alert=ModelErrorBudgetBurn", "--most-pages=2", "--set=error_budget=0.5")[0] == 0
    assert run(capsys, *given, "--alert=ModelErrorBudgetBurn", "--recorded", "--most-pages=0")[0] == 0


def test_a_name_that_nobody_knows_is_a_no_and_never_zero_pages(server, capsys):
    code, out, err = run(capsys, f"--prometheus={server}", f"--end={START + HOURS * 3_600}", "--range=12h", "--model=nope")
    assert (code, out) == (1, "")
    assert "has no series of model 'nope' in 30d; it knows models churn" in err


def test_a_rate_is_of_the_time_that_has_models_and_no_time_without_one_is_quiet(server, capsys):
    end = f"--end={START + HOURS * 3_600}"
    code, out, _ = run(capsys, f"--prometheus={server}", end, "--range=7d", "--alert=ModelErrorBudgetBurn", "--step=5m")
    assert code == 0
    assert re.search(r"\((12h|11h 59m) of 7d: there is no model before\)", out)
    assert re.search(r"pages a week +14\.", out)
    code, out, err = run(capsys, f"--prometheus={server}", f"--end={START - 86_400}", "--range=1d")
    assert (code, out) == (1, "")
    assert "has nothing of any model from" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set=feature_psi=0.2"], "is compared with ml_threshold"),
        (["--set=eror_ratio=0.2"], "eror_ratio: is no threshold and no knob of these rules"),
        (["--set=error_budget=many"], "'many' is no number"),
        (["--alert=ModelNothing"], "ModelNothing: is no alert of these rules; choose from ModelAbstentionHigh"),
        (["--history=nowhere.om"], "nowhere.om: No such file"),
        (["README.md"], "README.md cannot be used"),
    ],
)
def test_what_cannot_be_replayed_is_named_with_the_mend(words, said, capsys):
    code, _, err = run(capsys, *words)
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("text", "said"),
    [("# EOF\n", "has no sample"), ("a 1\n# EOF\n", "a sample has no time"), ('a{b="c"} 1 1700000000\n', "cannot read it as OpenMetrics")],
)
def test_a_file_that_is_no_history_is_refused(tmp_path, capsys, text, said):
    (tmp_path / "past.om").write_text(text)
    code, _, err = run(capsys, f"--history={tmp_path}/past.om")
    assert code == 1
    assert said in err


def test_a_server_that_is_not_there_is_named(capsys):
    code, _, err = run(capsys, "--prometheus=http://127.0.0.1:1", f"--end={time.time():.0f}")
    assert code == 1
    assert "does not answer" in err


def test_what_is_told_is_counted_beside_what_fires(past, tmp_path, capsys):
    rules = [
        {"alert": name, "expr": 'sum by (ml_model_name) (increase(ml_inference_duration_seconds_count{error_type!=""}[2m])) > 10', **more}
        for name, more in (("Page", {"labels": {"severity": "critical"}}), ("Ticket", {"labels": {"severity": "warning"}}))
    ]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"groups": [{"name": "own", "interval": "1m", "rules": rules}]}))
    route = {"receiver": "chat", "repeat_interval": "1d", "routes": [{"matchers": ["severity=critical"], "receiver": "pager"}]}
    mutes = {"source_matchers": ["alertname=Page"], "target_matchers": ["alertname=Ticket"]}
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "inhibit_rules": [mutes]}))
    words = (tmp_path / "own.yaml", f"--history={past}", f"--alertmanager-config={tmp_path / 'alertmanager.yml'}")
    code, out, _ = run(capsys, *words, "--json")
    (variant,) = json.loads(out)["variants"]
    assert code == 0
    assert [(each["receiver"], each["firing"]) for each in variant["told"] if each["firing"]] == [("pager", ["Page"])] * 2
    _, out, _ = run(capsys, *words)
    assert re.search(r"tickets a week +28", out)
    assert re.search(r"told to pager a week +28", out)
    assert "told to chat" not in out
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: chat, routes: [{matchers: ['severity!']}]}")
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "amtool check-config" in err


def test_a_site_is_judged_in_each_of_its_environments_and_by_its_own_words(tmp_path, capsys):
    """No threshold is published; the knobs say what tells environments apart, and that pages are called so."""
    (tmp_path / "past.om").write_text(
        "\n".join(history([f'{MODEL},namespace="{place}"' for place in ("prod", "dev")], stated=False)) + "\n"
    )
    (tmp_path / "knobs.yaml").write_text("group_labels: [namespace]\nseverities: {critical: page}\n")
    route = {"receiver": "chat", "group_by": ["namespace"], "routes": [{"matchers": ["severity=page"], "receiver": "pager"}]}
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump({"route": {**route, "repeat_interval": "1d"}}))
    asked = [f"--history={tmp_path / 'past.om'}", f"--knobs={tmp_path / 'knobs.yaml'}", "--alert=ModelErrorBudgetBurn"]
    code, out, _ = run(capsys, *asked, "--set=error_budget=0.5", "--set=error_budget=0.004", "--json")
    assert code == 0
    found = {
        variant["name"]: [(each["places"], each["severity"], len(each["incidents"])) for each in variant["outcomes"]]
        for variant in json.loads(out)["variants"]
    }
    assert found == {
        "as is": [(["dev"], "critical", 1), (["prod"], "critical", 1)],
        "error_budget=0.5": [],
        "error_budget=0.004": [(["dev"], "critical", 2), (["prod"], "critical", 2)],
    }
    code, out, err = run(capsys, *asked, f"--alertmanager-config={tmp_path / 'alertmanager.yml'}", "--most-pages=27")
    assert code == 1
    assert "28.0 pages a week are more than 27" in err
    assert re.search(r"pages a week +28\.0", out)
    assert "critical  ModelErrorBudgetBurn  churn (prod)" in out


def test_a_severity_that_nobody_explained_is_counted_by_its_name_and_never_passes_for_no_pages(past, tmp_path, capsys):
    rule = {"alert": "Own", "expr": 'rate(ml_inference_duration_seconds_count{error_type!=""}[2m]) > 0', "labels": {"severity": "page"}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"groups": [{"name": "own", "rules": [rule]}]}))
    (tmp_path / "knobs.yaml").write_text("severities: {critical: page}\n")
    words = [tmp_path / "own.yaml", f"--history={past}"]
    _, out, _ = run(capsys, *words)
    assert re.search(r"pages a week +0\.0\n.*\nof severity page a week +28\.0", out)
    code, _, err = run(capsys, *words, "--most-pages=2")
    assert code == 2
    assert "none of them has severity critical; name this site's word for it in --knobs" in err
    assert run(capsys, *words, "--most-pages=2", f"--knobs={tmp_path / 'knobs.yaml'}")[0] == 1
