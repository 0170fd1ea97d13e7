"""`otel-ml gate` and the gates for Argo Rollouts and Flagger, over counts in a real Prometheus that are known exactly."""

import json
import re
import time

import pytest

from otel_ml import stats
from otel_ml_exporter.cli import main
from otel_ml_exporter.cli.backtest import scratch
from otel_ml_exporter.mixin.delivery import CHECKS, Limits, Rollout, argo, flagger, gates
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import REJECTED, Queries
from support import free_port

pytestmark = pytest.mark.e2e

QUERIES = Queries(Knobs())
USUAL = {"calls": 10_000, "failed": 50, "fast": 0.90, "middle": 0.96, "answers": (7_000, 3_000)}
VERSIONS = {
    "1": {},
    "2": {"calls": 1_000, "failed": 6, "answers": (690, 310)},
    "failing": {"calls": 1_000, "failed": 40, "answers": (700, 300)},
    "slow": {"calls": 1_000, "failed": 5, "fast": 0.6, "middle": 0.7, "answers": (700, 300)},
    "other": {"calls": 1_000, "failed": 5, "answers": (300, 700)},
    "dead": {"calls": 1_000, "failed": 0},
    "young": {"calls": 100, "failed": 9, "answers": (70, 30)},
    "flawless": {"failed": None},
    "flawless2": {"failed": None},
    "rejecting": {"calls": 1_000, "failed": 5, "answers": (700, 300), "rejected": 2_000},
    "foreign": {"calls": 1_000, "failed": 5, "answers": (700, 300), "classes": ("no", "yes")},
}


def samples(version, *, calls, failed, fast, middle, answers, classes=("0", "1"), rejected=0):
    model = f'ml_model_name="churn",ml_model_version="{version}"'
    name = "ml_inference_duration_seconds"
    yield f"{name}_count{{{model}}}", calls - (failed or 0)
    if failed is not None:
        yield f'{name}_count{{{model},error_type="ValueError"}}', failed
    if rejected:
        yield f"{name}_count{{{model},{REJECTED}}}", rejected
        yield f'{name}_bucket{{{model},{REJECTED},le="+Inf"}}', rejected
    for bound, share in (("0.1", fast), ("0.5", middle), ("2.0", 1.0), ("+Inf", 1.0)):
        yield f'{name}_bucket{{{model},le="{bound}"}}', calls * share
    for label, count in zip((*classes, "__missing__", "__other__"), (*answers, 0, 0), strict=True):
        yield f'ml_prediction_observations_total{{{model},ml_bin="{label}"}}', count


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Counters that grew evenly from an hour ago until now, so that the increase over ten minutes is a sixth."""
    now = int(time.time())
    lines = {}
    for version, changes in VERSIONS.items():
        for series, total in samples(version, **{**USUAL, **changes}):
            lines[series] = [f"{series} {6 * total * minute / 60} {now - 3_600 + 60 * minute}" for minute in range(61)]
    roles = {"1": "stable", "2": "canary"}
    for version in VERSIONS:
        series = f'ml_model_info{{ml_model_name="churn",ml_model_version="{version}",ml_model_role="{roles.get(version, "")}"}}'
        minutes = range(54) if version == "dead" else range(121)
        lines[series] = [f"{series} 1 {now - 3_600 + 60 * minute}" for minute in minutes]
    lines['ml_model_info{ml_model_name="fraud",ml_model_version="1"}'] = [
        f'ml_model_info{{ml_model_name="fraud",ml_model_version="1"}} 1 {now}'
    ]
    text, last = [], None
    for series in sorted(lines):
        name = series.partition("{")[0]
        text += [f"# TYPE {name} unknown"] if name != last else []
        text += lines[series]
        last = name
    file = tmp_path_factory.mktemp("gate") / "counts.om"
    file.write_text("\n".join([*text, "# EOF\n"]))
    with scratch.filled(file) as server:
        yield server.url


def gate(capsys, url, *words):
    code = main(["gate", "--model=churn", f"--prometheus={url}", "--json", *words])
    told = json.loads(capsys.readouterr().out)
    return code, told["verdict"], {each["check"]: each for each in told["checks"]}


@pytest.mark.parametrize(
    ("canary", "code", "verdicts"),
    [
        ("2", 0, "pass pass pass"),
        ("failing", 1, "fail pass pass"),
        ("rejecting", 0, "pass pass pass"),
        ("slow", 1, "pass fail pass"),
        ("other", 1, "pass pass fail"),
        ("1", 3, "inconclusive inconclusive inconclusive"),
        ("young", 3, "inconclusive inconclusive inconclusive"),
        ("nobody", 3, "inconclusive inconclusive inconclusive"),
        ("dead", 3, "inconclusive inconclusive inconclusive"),
        ("foreign", 3, "pass pass inconclusive"),
    ],
)
def test_the_gate_closes_for_a_difference_that_matters_and_says_which(url, capsys, canary, code, verdicts):
    found = gate(capsys, url, f"--canary={canary}", "--stable=1")
    assert [each["verdict"] for each in found[2].values()] == verdicts.split()
    assert (found[0], found[1]) == (code, {0: "pass", 1: "fail", 3: "inconclusive"}[code])


def test_the_versions_come_from_their_roles_and_checks_can_be_left_out(url, capsys):
    code, _, checks = gate(capsys, url, "--checks=errors")
    assert (code, list(checks)) == (0, ["errors"])
    assert re.fullmatch(r"0\.60% of 1000 calls fail, 0\.50% of 10000 of the stable \(z 0\.4, limit 3\.0\)", checks["errors"]["reason"])
    code, _, checks = gate(capsys, url, "--canary=foreign", "--stable=1", "--checks=errors,latency")
    assert code == 0
    code, _, checks = gate(capsys, url, "--model=fraud")
    assert code == 3
    assert "no version has the role canary of model fraud; give --canary VERSION" in checks["errors"]["reason"]
    code, _, checks = gate(capsys, url, "--model=fruad", "--canary=2", "--stable=1")
    assert code == 3
    assert "has no series of model 'fruad' in 30d; it knows models fraud, churn" in checks["errors"]["reason"]


@pytest.mark.parametrize(("canary", "stable", "role"), [("dead", "1", "canary"), ("2", "dead", "stable")])
def test_a_version_that_reports_nothing_now_is_no_evidence_whatever_it_did_before(url, capsys, canary, stable, role):
    """A canary that was killed has failed no call."""
    code, _, checks = gate(capsys, url, f"--canary={canary}", f"--stable={stable}")
    assert code == 3
    assert checks["errors"]["reason"].startswith(f"version dead of model churn reports nothing now: is it down, or not scraped? No {role}")
    assert [asked(url, each.expr) for each in gates(QUERIES, Rollout("churn", canary, stable, "10m"), Limits())] == [None, None, None]


def test_two_versions_without_a_single_error_pass(url, capsys):
    assert gate(capsys, url, "--canary=flawless", "--stable=flawless2", "--checks=errors")[0] == 0


def test_no_prometheus_is_no_verdict_and_wrong_words_are_wrong_usage(capsys):
    nowhere = f"http://127.0.0.1:{free_port()}"
    code, verdict, checks = gate(capsys, nowhere, "--canary=2", "--stable=1", "--wait=0.1s")
    assert (code, verdict) == (3, "inconclusive")
    assert "does not answer" in checks["latency"]["reason"]
    with pytest.raises(SystemExit) as ended:
        main(["gate", "--model=churn", "--checks=beauty"])
    assert ended.value.code == 2


def test_the_verdict_is_told_to_people(url, capsys):
    assert main(["gate", "--model=churn", f"--prometheus={url}", "--canary=slow", "--stable=1"]) == 1
    told = capsys.readouterr().out
    assert re.search(r"latency +fail +95% of the calls take up to 1\.75 s, 0\.433 s of the stable", told)
    assert told.endswith("gate: fail\n")


def asked(url, expr):
    """The one number of an instant query; None without one, as NaN is no number either."""
    with scratch.Prometheus("Prometheus", url) as server:
        found = server.vector(expr)
        assert len(found) <= 1
        return found[0].value if found and found[0].value == found[0].value else None


def verdict(gate_, url):
    """What Argo Rollouts makes of it."""
    value = asked(url, gate_.expr)
    return "inconclusive" if value is None else "fail" if value > gate_.limit else "pass"


@pytest.mark.parametrize("canary", ["2", "failing", "rejecting", "slow", "other", "young", "nobody", "dead", "foreign"])
def test_the_queries_of_the_templates_give_the_verdicts_of_the_command(url, capsys, canary):
    _, _, checks = gate(capsys, url, f"--canary={canary}", "--stable=1")
    for each in gates(QUERIES, Rollout("churn", canary, "1", "10m"), Limits()):
        assert verdict(each, url) == checks[each.check]["verdict"], each.check


def test_the_numbers_of_the_queries_are_those_of_the_statistics(url):
    errors, latency, predictions = gates(QUERIES, Rollout("churn", "other", "1", "10m"), Limits())
    psi = stats.psi([7_000, 3_000, 0, 0], [300, 700, 0, 0])
    assert asked(url, predictions.expr) == pytest.approx(psi.value / max(0.1, psi.noise_floor), rel=1e-3)
    worse = gates(QUERIES, Rollout("churn", "failing", "1", "10m"), Limits())[0]
    pooled = 91 / 11_002
    assert asked(url, worse.expr) == pytest.approx(0.035 / (pooled * (1 - pooled) * 0.0011) ** 0.5, rel=1e-3)
    assert asked(url, errors.expr) == asked(url, latency.expr) == 0


def filled(text, values):
    """A template's text as its tool fills it in; nothing is left."""
    done = re.sub(r"\{\{\s*(?:args\.|variables\.)?(\w+)\s*\}\}", lambda found: values[found[1]], text)
    assert "{{" not in done
    return done


VALUES = {"model": "churn", "canary": "failing", "stable": "1", "window": "10m", "interval": "10m"}


def test_argo_gets_a_template_of_its_form_that_fails_the_failing_canary(url):
    template = argo(QUERIES)
    assert (template["apiVersion"], template["kind"], set(template["spec"])) == (
        "argoproj.io/v1alpha1",
        "AnalysisTemplate",
        {"args", "metrics"},
    )
    known = {"name", "interval", "count", "failureLimit", "inconclusiveLimit", "successCondition", "failureCondition", "provider"}
    declared = {each["name"] for each in template["spec"]["args"]}
    values = {}
    for metric in template["spec"]["metrics"]:
        assert set(metric) == known
        assert set(metric["provider"]) == {"prometheus"}
        assert set(re.findall(r"\{\{args\.(\w+)\}\}", str(metric["provider"]))) <= declared
        assert metric["inconclusiveLimit"] < metric["count"]
        good, bad = (
            re.fullmatch(r"len\(result\) > 0 && result\[0\] (<=|>) ([\d.]+)", metric[name])
            for name in ("successCondition", "failureCondition")
        )
        assert (good[1], bad[1], good[2]) == ("<=", ">", bad[2])
        values[metric["name"]] = asked(url, filled(metric["provider"]["prometheus"]["query"], VALUES)) > float(bad[2])
    assert values == {"errors": True, "latency": False, "predictions": False}


def test_flagger_gets_a_template_for_each_check(url):
    templates = flagger(QUERIES)
    assert tuple(templates) == CHECKS
    for template in templates.values():
        assert (template["apiVersion"], template["kind"], set(template["spec"])) == (
            "flagger.app/v1beta1",
            "MetricTemplate",
            {"provider", "query"},
        )
        assert template["spec"]["provider"] == {"type": "prometheus", "address": Knobs().prometheus_url}
        assert asked(url, filled(template["spec"]["query"], VALUES)) is not None
