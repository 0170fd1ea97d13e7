"""Baseline files: read once, again when they change, missed when they go."""

import json
from dataclasses import replace

import pytest

from otel_ml.errors import ConfigurationError
from otel_ml_exporter.baselines import BaselineFiles
from otel_ml_exporter.config import ModelSettings
from otel_ml_exporter.thresholds import FeatureLimits, Limits


def files(directory, *patterns):
    return BaselineFiles([ModelSettings(pattern, Limits()) for pattern in patterns], directory)


def keys(loaded):
    return [watched.key for watched in loaded.watched]


def test_a_pattern_names_many_files(baseline, tmp_path):
    baseline.save(tmp_path / "b.json")
    replace(baseline, version="4").save(tmp_path / "a.json")
    assert keys(files(tmp_path, "*.json").load()) == [("churn", "4"), ("churn", "3")]
    assert keys(files(tmp_path / "elsewhere", str(tmp_path / "*.json")).load()) == [("churn", "4"), ("churn", "3")]


def test_a_file_is_read_again_only_when_it_changes(baseline, tmp_path):
    baseline.save(tmp_path / "b.json")
    watcher = files(tmp_path, "b.json")
    first = watcher.load().watched[0].baseline
    assert watcher.load().watched[0].baseline is first
    replace(baseline, version="5").save(tmp_path / "b.json")
    assert keys(watcher.load()) == [("churn", "5")]


def test_what_is_missing_is_said_once_and_found_when_it_comes(baseline, tmp_path, caplog):
    caplog.set_level("INFO")
    watcher = files(tmp_path, "b.json", "c-*.json")
    for _ in range(3):
        assert set(watcher.load().missing) == {"b.json", "c-*.json"}
    baseline.save(tmp_path / "b.json")
    assert set(watcher.load().missing) == {"c-*.json"}
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]


def test_a_check_refuses_broken_files_and_forgives_missing_ones(baseline, tmp_path):
    baseline.save(tmp_path / "b.json")
    document = json.loads((tmp_path / "b.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps({**document, "samples": 1}))
    (tmp_path / "d.json").write_text("{")
    with pytest.raises(ConfigurationError) as caught:
        files(tmp_path, "b.json", "c.json", "d.json", "none.json").check()
    assert [fault.place for fault in caught.value.faults] == ["baseline c.json", "baseline d.json"]
    assert files(tmp_path, "b.json", "none.json").check().missing.keys() == {"none.json"}


def test_two_baselines_of_one_version_are_a_fault(baseline, tmp_path):
    baseline.save(tmp_path / "b.json")
    baseline.save(tmp_path / "c.json")
    with pytest.raises(ConfigurationError, match=r"c\.json: is of model churn 3, as b\.json is; keep one of them"):
        files(tmp_path, "*.json").check()


def test_a_feature_with_limits_of_its_own_must_be_in_a_baseline(baseline, tmp_path):
    baseline.save(tmp_path / "b.json")
    limits = Limits(features={"age": FeatureLimits(psi=0.2), "aeg": FeatureLimits(ignore=True)})
    with pytest.raises(ConfigurationError, match=r"models\[0\]\.features\.aeg: is in none of its baselines; known are \['age'") as caught:
        BaselineFiles([ModelSettings("b.json", limits)], tmp_path).check()
    assert len(caught.value.faults) == 1
    assert BaselineFiles([ModelSettings("none.json", limits)], tmp_path).check().missing
