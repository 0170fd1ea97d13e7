"""The configuration: every fault at once, each with its place and its mend."""

import re
from pathlib import Path

import pytest
import yaml

from otel_ml.errors import ConfigurationError
from otel_ml_exporter.config import OtlpSettings, PrometheusSettings, RowSettings, Window, load, parse

MINIMAL = {"models": [{"baseline": "churn.json"}]}


def faults(document):
    with pytest.raises(ConfigurationError) as caught:
        parse(document, Path("/etc/otel-ml"))
    return {fault.place: fault for fault in caught.value.faults}


def test_a_minimal_configuration_has_the_documented_defaults():
    config = parse(MINIMAL, Path("/etc/otel-ml"))
    assert (config.host, config.port, config.interval, config.retention) == ("127.0.0.1", 9469, 60, 8 * 86_400)
    assert config.windows == (Window("1h", 3_600), Window("24h", 86_400))
    assert config.source == OtlpSettings(200_000)
    assert config.store == "sqlite:////etc/otel-ml/otel-ml.db"
    assert config.previous is None
    assert config.models[0].limits.off == set()
    assert config.models[0].limits.minimum_samples == 100
    assert config.models[0].limits.threshold("feature_psi") == 0.05


def test_every_field_is_read():
    config = parse(
        {
            "listen": "[::1]:8000",
            "interval": "30s",
            "windows": ["1d", "5m"],
            "source": {"prometheus": {"url": "https://user:secret@prom.example:9090/base/", "timeout": "10s"}},
            "store": ":memory:",
            "retention": "2w",
            "minimum_samples": 50,
            "minimum_outcomes": 20,
            "references": ["baseline", "previous"],
            "previous": "2d",
            "signals": {"distances": False, "estimates": True},
            "rows": {"keep": 500, "interval": "1m"},
            "models": [
                {
                    "baseline": "b/*.json",
                    "sample": "b/*.parquet",
                    "thresholds": {"feature_psi": 0.2},
                    "features": {"temp": {"psi": 0.5}, "hour": {"ignore": True}, "age": None},
                }
            ],
        },
        Path("/etc"),
    )
    assert config.previous == 2 * 86_400
    assert config.rows == RowSettings(500, 60)
    assert config.models[0].sample == "b/*.parquet"
    limits = config.models[0].limits
    assert limits.off == {"distances"}
    assert [limits.feature_psi(name) for name in ("temp", "hour", "age", "other")] == [0.5, 0.2, 0.2, 0.2]
    assert [limits.ignores(name) for name in ("temp", "hour", "other")] == [False, True, False]
    assert (config.host, config.port) == ("::1", 8000)
    assert config.windows == (Window("5m", 300), Window("1d", 86_400))
    assert config.source == PrometheusSettings("https://user:secret@prom.example:9090/base", 10)
    assert config.store == "sqlite://"
    assert config.models[0].limits.threshold("feature_psi") == 0.2
    assert config.models[0].limits.threshold("prediction_psi") == 0.1
    assert config.models[0].limits.minimum_outcomes == 20


def test_all_faults_are_reported_together():
    found = faults(
        {
            "listen": "9469",
            "intervall": "1m",
            "windows": ["1h", 24],
            "source": {"prometheus": {"uri": "http://x"}},
            "minimum_samples": 0,
            "references": ["previous"],
            "previous": 7,
            "signals": {"distance": True, "estimates": "no"},
            "models": [
                {
                    "baseline": 3,
                    "thresholds": {"feature_pis": 0.1, "output_share": 2},
                    "features": {"temp": {"psi": -1, "ignored": True}, "hour": {"ignore": 1}, 5: {}, "age": 0.2},
                },
                "churn.json",
            ],
        }
    )
    assert set(found) == {
        "listen",
        "intervall",
        "windows",
        "source.prometheus.uri",
        "source.prometheus.url",
        "minimum_samples",
        "references",
        "previous",
        "signals.distance",
        "signals.estimates",
        "models[0].features.temp.psi",
        "models[0].features.temp.ignored",
        "models[0].features.hour.ignore",
        "models[0].features.5",
        "models[0].features.age",
        "models[0].baseline",
        "models[0].thresholds.feature_pis",
        "models[0].thresholds.output_share",
        "models[1]",
        "models[1].baseline",
    }


def test_a_limit_of_all_models_holds_where_a_model_states_none():
    models = [{"baseline": "a.json"}, {"baseline": "b.json", "thresholds": {"latency": "5m"}}]
    config = parse({"models": models, "thresholds": {"latency": "0.5s", "feature_psi": 0.2}}, Path("/etc"))
    assert [model.limits.threshold("latency") for model in config.models] == [0.5, 300]
    assert [model.limits.feature_psi("age") for model in config.models] == [0.2, 0.2]
    assert parse({"models": models[:1]}, Path("/etc")).models[0].limits.threshold("latency") is None


def test_an_unknown_field_suggests_the_nearest_known_name():
    assert "did you mean interval?" in str(faults({**MINIMAL, "intervall": "1m"})["intervall"])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"windows": ["1h", "60m"]}, "windows"),
        ({"windows": ["1h", "30d"]}, "retention"),
        ({"interval": "2h"}, "interval"),
        ({"source": {"prometheus": {"url": "http://x"}, "otlp": {}}}, "source.otlp"),
        ({"source": {"prometheus": {"url": "ftp://x"}}}, "source.prometheus.url"),
        ({"store": "mysql://x/y"}, "store"),
        ({"references": ["baseline", "previous"], "previous": "12h"}, "previous"),
        ({"references": ["baseline", "baseline"]}, "references"),
        ({"references": "baseline"}, "references"),
        ({"models": []}, "models"),
        ({"models": [{"baseline": "a.json"}, {"baseline": "a.json"}]}, "models[1].baseline"),
        ({"interval": "0s"}, "interval"),
        ({"minimum_samples": True}, "minimum_samples"),
    ],
)
def test_fields_that_contradict_each_other_or_themselves_are_faults(change, place):
    assert list(faults({**MINIMAL, **change})) == [place]


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_a_document_that_is_no_mapping_is_a_fault(document):
    assert faults(document)


def test_broken_yaml_is_reported_with_its_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("models:\n  - baseline: [\n")
    with pytest.raises(ConfigurationError, match=r"line 3, column 1"):
        load(path)


def test_yaml_tags_do_not_run_code(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("listen: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigurationError):
        load(path)


def test_a_missing_file_is_a_fault(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_secret_in_a_url_is_not_shown():
    assert "secret" not in str(faults({**MINIMAL, "source": {"prometheus": {"url": "ftp://u:secret@x"}}})["source.prometheus.url"])


def test_the_reference_documents_a_configuration_that_is_valid_and_whole():
    text = (Path(__file__).parents[3] / "docs/reference/exporter.md").read_text(encoding="utf-8")
    document = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert parse(document, Path("/etc")).models
    assert set(document) == {
        "listen",
        "interval",
        "windows",
        "references",
        "previous",
        "source",
        "store",
        "retention",
        "minimum_samples",
        "limits",
        "web",
        "minimum_outcomes",
        "signals",
        "thresholds",
        "models",
    }
