"""`otel-ml alerts silence` for what is not firing, against a real Alertmanager: made, with a word about what may be misspelled."""

import time

import pytest

from otel_ml_exporter.alertmanager import Alertmanager
from otel_ml_exporter.cli import main
from support import running_alertmanager

pytestmark = pytest.mark.e2e

MODEL = "nothing is firing for model 'chrun', so nobody can tell here whether it is spelled like this; something is for models churn"
ALERT = "no alert 'ModelFeatureDrfit' is in the pack, or is firing; did you mean ModelFeatureDrift?"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """An Alertmanager to which an alert of the site's own about churn is firing."""
    config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    with running_alertmanager(tmp_path_factory.mktemp("ahead"), config) as address:
        with Alertmanager("Alertmanager", address) as server:
            labels = {"alertname": "Site", "ml_model_name": "churn", "severity": "warning"}
            server.post(labels, {}, starts=time.time() - 60, ends=time.time() + 3_600)
        yield address


@pytest.mark.parametrize(
    ("model", "alert", "doubts"),
    [
        ("churn", None, []),
        ("churn", "Site", []),
        ("churn", "ModelFeatureDrift", []),
        ("churn", "RiskFeatureDrift", []),
        ("chrun", None, [MODEL]),
        ("churn", "ModelFeatureDrfit", [ALERT]),
        ("chrun", "ModelFeatureDrfit", [MODEL, ALERT]),
    ],
)
def test_a_silence_of_what_is_not_known_is_made_and_doubted(url, capsys, model, alert, doubts):
    narrow = [f"--alert={alert}"] if alert else []
    assert main(["alerts", "silence", f"--alertmanager={url}", f"--model={model}", "--for=1h", "--comment=x", *narrow]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("silence ")
    assert said.err.splitlines() == [f"otel-ml: {doubt}" for doubt in doubts]
