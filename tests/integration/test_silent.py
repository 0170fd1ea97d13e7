"""Which alerts `otel-ml doctor` calls silent in a rollout, over series in a real Prometheus."""

import time

import pytest

from otel_ml_exporter.cli.backtest import scratch
from otel_ml_exporter.cli.doctor.links import Case
from otel_ml_exporter.cli.doctor.silent import silent

pytestmark = pytest.mark.e2e

CANARY = frozenset(("ModelCanaryWorse", "ModelCanaryDiffers"))
VERSION = 'ml_model_name="%s",ml_model_version="4"'
INFO = f'ml_model_info{{{VERSION},ml_model_role="%s"}}'
PSI = f'ml_prediction_psi{{{VERSION},window="1h",reference="%s"}}'
MODELS = {
    "no canary": (INFO % ("no canary", "stable"), PSI % ("no canary", "baseline")),
    "not compared": (INFO % ("not compared", "canary"), PSI % ("not compared", "baseline")),
    "compared": (INFO % ("compared", "canary"), PSI % ("compared", "stable")),
    "shadow": (INFO % ("shadow", "shadow"), PSI % ("shadow", "stable")),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Prometheus with these models; the exporter has a baseline of each."""
    series = [*(each for pair in MODELS.values() for each in pair), *(f"ml_baseline_info{{{VERSION % model}}}" for model in MODELS)]
    lines, now = [], int(time.time())
    for name in ("ml_baseline_info", "ml_model_info", "ml_prediction_psi"):
        lines.append(f"# TYPE {name} unknown")
        lines += [f"{each} 1 {now + 60 * minute}" for each in series if each.startswith(name) for minute in range(60)]
    file = tmp_path_factory.mktemp("silent") / "now.om"
    file.write_text("\n".join([*lines, "# EOF\n"]))
    with scratch.filled(file) as filled:
        yield filled


@pytest.mark.parametrize(
    ("model", "expected"),
    [("no canary", CANARY), ("shadow", CANARY), ("not compared", {"ModelCanaryDiffers"}), ("compared", set())],
)
def test_an_alert_about_a_canary_is_silent_without_one_or_without_what_it_reads(server, model, expected):
    """Each is told once, with what wakes it."""
    found = [each for each in silent(Case(model, server, None, None, None, None, time.time())) if CANARY.intersection(each.alerts)]
    assert [set(each.alerts) for each in found] == ([expected] if expected else [])
    assert ("references: [baseline, stable]" in "".join(each.wake for each in found)) == (model == "not compared")
