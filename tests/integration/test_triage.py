"""`otel-ml triage` with the pack's rules in a real Prometheus, over a day whose events are known."""

import json
import re
import shlex
import subprocess
import time
from dataclasses import replace

import httpx
import numpy as np
import pytest

from otel_ml import Baseline
from otel_ml_exporter.alertmanager import Alertmanager, Matcher
from otel_ml_exporter.cli import main
from otel_ml_exporter.cli.backtest import scratch
from otel_ml_exporter.cli.triage.forms import headline
from otel_ml_exporter.cli.triage.gather import gather
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render, write
from otel_ml_exporter.prometheus import Prometheus
from support import eventually, free_port, running_alertmanager, running_prometheus

pytestmark = pytest.mark.e2e

HOUR = 3_600
STEP = 120
GONE = "über/modell 1|$(id); 'x"


def day(now):
    """Version 4 came two hours ago; the age of version 3 moved an hour ago; the rest is noise, or too little to matter."""
    model = 'ml_model_name="churn",ml_model_version="3"'
    window = 'window="1h",reference="baseline"'
    feature = f'{model},ml_feature_name="%s",{window}'
    info = 'ml_model_info{ml_model_name="churn",ml_model_version="%s",ml_baseline_id="%s",ml_model_role="%s",instance="%s"}'
    levels = {
        info % ("3", "b3", "stable", "a"): lambda ago: 1,
        info % ("3", "b3", "stable", "b"): lambda ago: 1 if ago > 5 * HOUR else None,
        info % ("2", "b2", "stable", "c"): lambda ago: 1 if ago > 20 * HOUR else None,
        info % ("4", "b4", "canary", "d"): lambda ago: 1 if ago <= 2 * HOUR else None,
        f"ml_feature_psi{{{feature % 'age'}}}": lambda ago: 0.8 if ago <= HOUR else 0.01,
        f"ml_feature_psi{{{feature % 'income'}}}": lambda ago: 0.02,
        f"ml_feature_psi_noise_floor{{{feature % 'age'}}}": lambda ago: 0.04,
        f"ml_feature_psi_noise_floor{{{feature % 'income'}}}": lambda ago: 0.04,
        f"ml_feature_drifted{{{feature % 'age'}}}": lambda ago: int(ago <= HOUR),
        f"ml_feature_out_of_range_ratio{{{feature % 'age'}}}": lambda ago: 0.12,
        f"ml_prediction_psi{{{model},{window}}}": lambda ago: 0.03,
        f"ml_prediction_psi_noise_floor{{{model},{window}}}": lambda ago: 0.01,
        f'ml_threshold{{{model},ml_signal="feature_psi",severity="warning"}}': lambda ago: 0.05,
        f'ml_threshold{{{model},ml_signal="prediction_psi",severity="warning"}}': lambda ago: 0.1,
        f'ml_window_samples{{{model},ml_signal="feature",window="1h"}}': lambda ago: 5_000,
        f'ml_window_samples{{{model},ml_signal="feature",window="24h"}}': lambda ago: 90_000,
        f"ml_inference_duration_seconds_count{{{model}}}": lambda ago: (25 * HOUR - ago) / 60 * 97,
        f'ml_inference_duration_seconds_count{{{model},error_type="ValueError"}}': lambda ago: (25 * HOUR - ago) / 60 * 3,
        'ml_model_info{ml_model_name="calm",ml_model_version="1",ml_baseline_id="b1",ml_model_role="stable"}': lambda ago: 1,
        'ml_model_info{ml_model_name="brief",ml_model_version="1"}': lambda ago: 1,
        'ml_model_info{ml_model_name="brief",ml_model_version="2"}': lambda ago: 1 if ago == 7 * HOUR else None,
        'ml_model_info{ml_model_name="just gone",ml_model_version="1"}': lambda ago: 1 if ago >= 6 * 60 else None,
        f'ml_model_info{{ml_model_name="{GONE}",ml_model_version="1"}}': lambda ago: 1 if ago >= 10 * HOUR else None,
    }
    last = None
    for series in sorted(levels):
        name = series.partition("{")[0]
        if name != last:
            yield f"# TYPE {name} unknown"
        last = name
        times = ((now - ago, levels[series](ago)) for ago in range(25 * HOUR, -1, -STEP))
        yield from (f"{series} {value} {at}" for at, value in times if value is not None)
    yield "# EOF"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """The options that name a Prometheus with that day and the pack, an Alertmanager that mutes the drift of age, and the day's end."""
    directory = tmp_path_factory.mktemp("triage")
    now = int(time.time())
    (directory / "day.om").write_text("".join(f"{line}\n" for line in day(now)))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "day.om", "data"], cwd=directory, check=True, capture_output=True
    )
    write(render("rules", Knobs(interval="1s", pace=0.0001)), directory)
    settings = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(directory / "alert_rules" / "*.yaml")]}
    config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    with running_alertmanager(directory, config) as url, running_prometheus(directory, settings) as client:
        query = 'ALERTS{alertname="ModelFeatureDrift", alertstate="firing"}'
        eventually(lambda: client.get("/api/v1/query", params={"query": query}).json()["data"]["result"], lambda: "nothing fires")
        yield [f"--prometheus={client.base_url}", f"--alertmanager={url}"], url, now


def triage(capsys, servers, *words):
    code = main(["triage", *servers[0], *words])
    return code, capsys.readouterr().out


def test_the_report_says_what_moved_whether_it_is_real_and_since_when(servers, capsys):
    code, out = triage(capsys, servers, "--model=churn", "--json")
    told = json.loads(out)
    assert code == 1
    assert told["window"] == "1h"
    age, income, predictions = told["moved"]
    assert (age["what"], age["value"], age["limit"], age["floor"], age["samples"], age["real"]) == (
        "PSI of feature age",
        0.8,
        0.05,
        0.04,
        5_000,
        True,
    )
    assert age["since"] == pytest.approx(told["at"] - HOUR, abs=15 * 60)
    assert age["notes"] == ["12.0% out of range"]
    assert (income["real"], income["since"], predictions["real"], predictions["limit"]) == (False, None, False, 0.1)


def test_the_report_says_what_changed_before(servers, capsys):
    _, out = triage(capsys, servers, "--model=churn", "--json")
    told = json.loads(out)
    versions = {each["version"]: each for each in told["versions"]}
    assert set(versions) == {"3", "4"}
    assert (versions["3"]["since"], versions["3"]["replicas"], versions["4"]["role"]) == (None, 1, "canary")
    changed = [(round((told["at"] - each["at"]) / HOUR), each["what"]) for each in told["changes"]]
    assert changed == [
        (20, "version 2 (stable) with baseline b2 ended"),
        (5, "version 3 (stable) with baseline b3: 2 -> 1 replicas"),
        (2, "version 4 (canary) with baseline b4 began to serve"),
    ]


def test_the_page_reads_from_top_to_bottom(servers, capsys):
    code, out = triage(capsys, servers, "--model=churn")
    assert code == 1
    order = [
        "LOOK: 0 pages, 1 ticket, 1 score really moved",
        "serving",
        "firing",
        "what moved, over 1h",
        "what changed before",
        "what to do",
    ]
    assert [out.index(title) for title in order] == sorted(out.index(title) for title in order)
    assert re.search(r"feature age +3 +0\.8 +0\.05 +0\.04 +5000 +yes: 16\.0 x the limit, 20\.0 x chance, for about (5\d|1h)", out)
    assert re.search(r"feature income .*no: chance gives as much", out)
    assert re.search(r"predictions .*too small to matter", out)
    assert "1500 calls in 15m, 1500 at this time yesterday" in out
    assert "3.00% of them failed" in out
    assert "warning ModelFeatureDrift firing for " in out
    assert "runbook: https://github.com/otel-ml/otel-ml/blob/main/alert_rules/runbooks/ModelFeatureDrift.md" in out
    assert f"otel-ml alerts silence --model churn --for 2h --comment why --alertmanager {servers[1]}\n" in out


def test_a_ticket_gets_markdown(servers, capsys):
    _, out = triage(capsys, servers, "--model=churn", "--markdown")
    assert out.startswith("## Model churn: LOOK: ")
    assert [line for line in out.splitlines() if line.startswith("### ")] == [
        "### Serving",
        "### Firing",
        "### What moved, over 1h",
        "### What changed before",
        "### What to do",
    ]
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {8}


def test_what_is_muted_is_said(servers, capsys):
    fires = httpx.get(f"{servers[0][0].partition('=')[2]}/api/v1/alerts").json()["data"]["alerts"]
    labels = next(each["labels"] for each in fires if each["labels"]["alertname"] == "ModelFeatureDrift")
    with Alertmanager("Alertmanager", servers[1]) as server:
        server.post(labels, {}, starts=time.time(), ends=time.time() + 600)
        silence = server.silence([Matcher("ml_model_name", "churn")], starts=time.time(), ends=time.time() + 600, author="ada", comment="x")
        eventually(lambda: server.alerts()[0].state == "suppressed", server.alerts)
    assert f"silenced by {silence}" in triage(capsys, servers, "--model=churn")[1]


def test_the_baseline_adds_importance_and_design_effect(servers, capsys, tmp_path):
    random = np.random.default_rng(3)
    days = np.repeat(random.normal(40, 10, 60), 50)
    baseline = Baseline.from_data({"age": days + random.normal(0, 1, 3_000)}, model="churn", version="3")
    baseline.save(tmp_path / "churn-3.json")
    _, out = triage(capsys, servers, "--model=churn", f"--baseline={tmp_path}/churn-3.json")
    effect = baseline.feature("age").design_effect
    assert (f"design effect {effect:.1f}" in out) == (effect > 1)


def test_a_calm_model_is_ok_and_one_without_alertmanager_says_what_is_not_known(servers, capsys):
    code, out = triage(capsys, servers, "--model=calm", f"--alertmanager=http://127.0.0.1:{free_port()}")
    assert code == 0
    assert "OK: 0 pages, 0 tickets" in out
    assert "muted alerts unknown: Alertmanager at" in out
    assert "there are no scores" in out


def test_a_model_that_stopped_to_report_is_never_ok_however_long_ago_that_was(servers, capsys):
    code, out = triage(capsys, servers, f"--model={GONE}")
    assert code == 1
    assert re.search(r"  SILENT: 0 pages, 0 tickets, has reported nothing since 20\d\d-.* UTC \((9h 5\dm|10h( \dm)?) ago\)", out)
    assert f"find the broken link: otel-ml doctor --model {shlex.quote(GONE)} --prometheus http://127.0.0.1:" in out
    code, out = triage(capsys, servers, f"--model={GONE}", "--range=9h", "--markdown")
    assert (code, "SILENT: 0 pages, 0 tickets, has reported nothing for at least 9h" in out) == (1, True)


def test_a_model_that_stopped_minutes_ago_does_not_serve(servers, capsys):
    code, out = triage(capsys, servers, "--model=just gone")
    assert code == 1
    assert re.search(r"(ACT|SILENT): \d pages?, \d tickets?, has reported nothing since", out), out
    assert "replica" not in out.partition("what changed before")[0]


def test_times_are_those_of_samples_and_not_of_the_steps_in_which_they_were_looked_for(servers, capsys):
    """A month is looked at in steps of hours; what lived for minutes is told too."""
    _, out = triage(capsys, servers, "--model=just gone", "--json")
    assert json.loads(out)["seen"] == servers[2] - 6 * 60
    _, out = triage(capsys, servers, "--model=brief", "--json", "--range=30d")
    found = [(each["at"], each["what"]) for each in json.loads(out)["changes"] if each["what"].startswith("version 2")]
    told = "version 2 without a baseline"
    assert found == [(servers[2] - 7 * HOUR, f"{told} began to serve"), (servers[2] - 7 * HOUR, f"{told} ended")]


def test_a_time_that_is_known_no_better_is_told_as_a_span(servers, capsys):
    _, out = triage(capsys, servers, "--model=churn")
    assert re.search(r"between .{16} UTC and .{16} UTC \(\S+ ?\S* ago\)  version 3 \(stable\) with baseline b3: 2 -> 1 replicas", out)
    assert re.search(r"  20.{14} UTC \(2h( \dm)? ago\)  version 4 \(canary\) with baseline b4 began to serve", out)


def test_a_command_that_is_printed_runs_as_it_is_pasted(servers, capsys):
    _, out = triage(capsys, servers, f"--model={GONE}")
    otel_ml, *words = shlex.split(re.search("if this is planned: (.*)", out)[1])
    assert otel_ml == "otel-ml"
    assert main(words) == 0
    otel_ml, *words = shlex.split(re.search("end it with: (.*)", capsys.readouterr().out)[1])
    with Alertmanager("Alertmanager", servers[1]) as server:
        (made,) = server.silences([Matcher("ml_model_name", GONE)])
        assert made.state == "active"
        assert main(words) == 0
        assert server.silences([Matcher("ml_model_name", GONE)])[0].state == "expired"


def test_severities_are_counted_by_the_words_that_the_site_has_for_them(servers):
    """The rules are those of the pack; a ticket is one whatever it is called."""

    def called(each):
        own = each.labels.get("severity") == "warning"
        return replace(each, labels={**each.labels, "severity": "sev2"}) if own else each

    with Prometheus("Prometheus", servers[0][0].partition("=")[2]) as server, Alertmanager("Alertmanager", servers[1]) as other:
        rules, alerts = [called(rule) for rule in server.rules()], [called(alert) for alert in server.alerts()]
        server.rules, server.alerts = lambda: rules, lambda: alerts
        report = gather(server, other, model="churn", window=None, now=time.time(), back=86_400.0, top=5, baseline=None)
    assert headline(report).startswith("LOOK: 0 pages, 1 ticket, 1 score")
    assert [(alert.severity, alert.level) for alert in report.alerts if alert.name == "ModelFeatureDrift"] == [("sev2", "warning")]


def test_a_name_that_nobody_knows_is_a_no_with_the_names_that_are_known(servers, capsys):
    assert main(["triage", *servers[0], "--model=chrun"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"has no series of model 'chrun' in 30d; it knows models churn, brief, calm, just gone, {GONE}" in said.err


def test_without_rules_nothing_is_ok(tmp_path, capsys):
    (tmp_path / "now.om").write_text(f'ml_model_info{{ml_model_name="churn",ml_model_version="3"}} 1 {int(time.time())}\n# EOF\n')
    with scratch.filled(tmp_path / "now.om") as server:
        words = [f"--prometheus={server.url}", f"--alertmanager=http://127.0.0.1:{free_port()}"]
        code, out = triage(capsys, (words, ""), "--model=churn")
        assert (code, "LOOK: firing alerts unknown, no scores" in out) == (1, True)
        assert "no alert of the pack is loaded" in out
        assert "firing\n  unknown\n" in out


def test_no_prometheus_is_no_report(capsys):
    assert main(["triage", "--model=churn", f"--prometheus=http://127.0.0.1:{free_port()}"]) == 1
    assert "does not answer" in capsys.readouterr().err
