"""The baseline's file: what is saved is loaded, whole or not at all, and a faulty one is refused with every fault and its place."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from otel_ml import Baseline, BaselineError


@pytest.fixture
def baseline():
    rng = np.random.default_rng(0)
    score = rng.random(300)
    return Baseline.from_data(
        {"age": rng.normal(40, 9, 300), "income": rng.lognormal(8, 1, 300), "plan": rng.choice(["basic", "pro", "größer"], 300)},
        model="churn",
        version="3",
        predictions=score,
        labels=rng.random(300) < score,
        importance={"age": 2.0},
    )


@pytest.fixture
def path(baseline, tmp_path):
    baseline.save(tmp_path / "churn-3.json")
    return tmp_path / "churn-3.json"


def test_what_is_saved_is_loaded(baseline, path):
    loaded = Baseline.load(path)
    assert loaded == baseline
    assert loaded.fingerprint == baseline.fingerprint
    assert loaded.to_dict() == json.loads(path.read_text("utf-8"))


def test_the_file_has_a_line_for_each_bin_and_none_for_each_number(path):
    lines = path.read_text("utf-8").splitlines()
    assert any(line.strip().startswith('"größer": ') for line in lines)
    assert max(map(len, lines)) < 1_000
    assert len(lines) < 200


def test_the_fingerprint_ignores_when_the_baseline_was_made(baseline):
    document = baseline.to_dict()
    assert len(baseline.fingerprint) == 16
    assert "created" in document


def test_the_fingerprint_is_the_same_in_every_process():
    code = (
        "from otel_ml import Baseline\n"
        "data = [{'a': i / 7, 'b': 'xyz'[i % 3], 'c': bool(i % 2)} for i in range(99)]\n"
        "scores = [i / 99 for i in range(99)]\n"
        "print(Baseline.from_data(data, model='m', version='1', predictions=scores, labels=[s > .4 for s in scores]).fingerprint)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_a_writer_who_dies_leaves_the_old_file_and_no_other(baseline, path, monkeypatch):
    old = path.read_bytes()

    def dies(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        baseline.save(path)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_a_saved_file_has_the_rights_that_the_umask_gives(baseline, tmp_path):
    before = os.umask(0o027)
    try:
        baseline.save(tmp_path / "b.json")
    finally:
        os.umask(before)
    assert (tmp_path / "b.json").stat().st_mode & 0o777 == 0o640


def refused(path):
    with pytest.raises(BaselineError) as caught:
        Baseline.load(path)
    assert str(caught.value).startswith(f"baseline {path} cannot be used:\n  - ")
    return {fault.place: fault for fault in caught.value.faults}


def test_an_edited_file_is_refused(path):
    document = json.loads(path.read_text("utf-8"))
    document["features"]["plan"]["bins"]["pro"] += 1
    path.write_text(json.dumps(document), "utf-8")
    assert "the file was edited" in refused(path)["fingerprint"].problem


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"nonsense", b'{"a": NaN}', b"[" * 100_000],
    ids=["empty", "cut", "not utf-8", "nonsense", "nan", "deep"],
)
def test_a_file_that_is_not_json_is_refused(path, content):
    path.write_bytes(content)
    assert "is not JSON" in refused(path)["file"].problem


def test_every_truncation_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("document", [[], "text", 3, None])
def test_json_that_is_no_object_is_refused(path, document):
    path.write_text(json.dumps(document))
    assert refused(path)


@pytest.mark.parametrize(
    ("version", "mend"), [(2, "update otel-ml"), ("1", "build the baseline again"), (None, "build the baseline again")]
)
def test_another_schema_version_is_refused_with_the_mend(path, version, mend):
    document = json.loads(path.read_text("utf-8")) | {"schema_version": version}
    path.write_text(json.dumps(document), "utf-8")
    assert refused(path)["schema_version"].mend.startswith(mend)


def test_every_fault_is_named_at_once_with_its_place(path):
    document = json.loads(path.read_text("utf-8"))
    document["task"] = "ranking"
    document["model"] = 7
    document["samples"] = True
    document["created"] = "yesterday"
    document["threshold"] = 10**400
    document["features"]["age"]["edges"][3] = -1e9
    document["features"]["age"]["std"] = "wide"
    document["features"]["plan"]["bins"]["pro"] = -1
    document["features"]["plan"]["vocabulary"] = ["a", 3]
    document["features"]["income"] = [1, 2]
    document["confusion"] = [[1, 2]]
    document["calibration"]["outcomes"] = [1, 2]
    document["calibration"]["edges"][0] = True
    document["outliers"]["precision"] = [[1.0, 0.0], "x"]
    path.write_text(json.dumps(document), "utf-8")
    assert set(refused(path)) >= {
        "task",
        "model",
        "samples",
        "created",
        "threshold",
        "features.age.edges",
        "features.age.bins",
        "features.age.std",
        "features.plan.bins",
        "features.plan.vocabulary",
        "features.income",
        "confusion",
        "calibration.outcomes",
        "calibration.edges",
        "outliers.precision[1]",
    }


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Baseline.load(tmp_path / "absent.json")


def test_an_unknown_feature_is_a_key_error_with_the_known_names(baseline):
    with pytest.raises(KeyError, match="no feature 'agee'; the baseline has age, income, plan"):
        baseline.feature("agee")


def test_parts_that_do_not_fit_together_are_refused(path):
    document = json.loads(path.read_text("utf-8"))
    document["classes"] = ["False", "Maybe", "True"]
    document["confusion"] = [[0, 0, 0]] * 3
    document["outliers"]["features"] = ["age", "plan"]
    path.write_text(json.dumps(document), "utf-8")
    assert set(refused(path)) == {"classes", "prediction.bins", "outliers.features"}


OLD = """
{
 "schema_version": 1,
 "model": "churn",
 "version": "3",
 "task": null,
 "created": "2026-01-31T12:00:00Z",
 "samples": 4,
 "features": {
  "age": {
   "type": "numeric",
   "edges": [
    2.0
   ],
   "bins": {
    "00 (-inf, 2]": 2,
    "01 (2, inf]": 2,
    "__missing__": 0,
    "__other__": 0
   },
   "minimum": 1.0,
   "maximum": 4.0,
   "mean": 2.5,
   "std": 1.118033988749895,
   "importance": 1.0
  },
  "plan": {
   "type": "categorical",
   "bins": {
    "a": 3,
    "b": 1,
    "__missing__": 0,
    "__other__": 0
   },
   "vocabulary": [
    "a",
    "b"
   ]
  }
 },
 "fingerprint": "dff29ffbbb4ec692"
}
"""


def test_a_file_of_before_there_were_design_effects_loads_with_the_fingerprint_it_had(tmp_path):
    (tmp_path / "old.json").write_text(OLD)
    baseline = Baseline.load(tmp_path / "old.json")
    assert baseline.fingerprint == json.loads(OLD)["fingerprint"]
    assert {feature.design_effect for feature in baseline.features} == {baseline.prediction_design_effect} == {1.0}
