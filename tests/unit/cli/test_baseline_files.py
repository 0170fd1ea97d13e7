"""`otel-ml baseline build` from files of any size: the same types, the same rows, the same fingerprint."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from otel_ml import Baseline
from otel_ml_exporter.cli import main
from otel_ml_exporter.cli.baseline import files


@pytest.fixture
def frame():
    random = np.random.default_rng(2)
    score = random.random(3_000)
    return pd.DataFrame(
        {
            "age": random.integers(18, 90, 3_000),
            "plan": random.choice(["free", "paid"], 3_000),
            "score": score,
            "label": (random.random(3_000) < score).astype(int),
            "user": random.integers(0, 400, 3_000),
            "when": pd.date_range("2026-01-01", periods=3_000, freq="min"),
        }
    )


OPTIONS = ["--model=churn", "--version=3", "--prediction=score", "--label=label", "--key=user", "--time=when"]


def build(*arguments, options=OPTIONS):
    *data, path = map(str, arguments)
    assert main(["baseline", "build", *data, "-o", path, *options]) == 0
    return Baseline.load(path)


def test_a_file_gives_what_from_data_gives(frame, tmp_path):
    frame.to_csv(tmp_path / "valid.csv", index=False)
    expected = Baseline.from_data(
        frame[["age", "plan"]],
        model="churn",
        version="3",
        predictions=frame["score"],
        labels=frame["label"],
        key=frame["user"],
        time=frame["when"],
    )
    assert build(tmp_path / "valid.csv", tmp_path / "b.json").fingerprint == expected.fingerprint


def test_many_files_by_pattern_are_one(frame, tmp_path):
    frame.to_parquet(tmp_path / "whole.parquet", index=False)
    (tmp_path / "parts").mkdir()
    for part in range(3):
        frame[part * 1_000 : (part + 1) * 1_000].to_parquet(tmp_path / "parts" / f"{part}.parquet", index=False)
    found = build(tmp_path / "parts" / "*.parquet", tmp_path / "parts.json")
    assert found.fingerprint == build(tmp_path / "whole.parquet", tmp_path / "whole.json").fingerprint


def test_a_column_has_one_type_however_late_the_value_that_decides_it_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CSV_BLOCK", 300)
    rows = ["late_float,late_text,late_number,empty", *(["1,2,,"] * 200), "1.5,a,7,"]
    (tmp_path / "late.csv").write_text("\n".join(rows) + "\n")
    baseline = build(tmp_path / "late.csv", tmp_path / "b.json", options=["--model=m", "--version=1"])
    assert [feature.type for feature in baseline.features] == ["numeric", "categorical", "numeric", "numeric"]
    assert baseline.feature("late_float").maximum == 1.5
    assert baseline.feature("late_text").vocabulary == ("2", "a")
    assert baseline.feature("late_number").histogram.counts[-2:] == (200, 0)
    assert baseline.samples == 201


def test_a_file_larger_than_the_sample_is_counted_as_a_whole(tmp_path):
    random = np.random.default_rng(4)
    values = random.normal(size=250_000)
    pd.DataFrame({"x": values, "c": random.choice(["a", "b"], 250_000)}).to_parquet(tmp_path / "large.parquet", index=False)
    baseline = build(tmp_path / "large.parquet", tmp_path / "b.json", options=["--model=m", "--version=1"])
    feature = baseline.feature("x")
    assert baseline.samples == feature.histogram.samples == 250_000
    edges = [-np.inf, *feature.histogram.edges, np.inf]
    assert feature.histogram.counts[:-2] == tuple(((values > low) & (values <= high)).sum() for low, high in pairwise(edges))
    assert feature.minimum == values.min()
    assert feature.mean == pytest.approx(values.mean())


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["*.parquet"], "files: there are none; check the pattern"),
        (["a.csv", "b.csv"], "b.csv cannot be used:\n  - columns: has y, not x"),
    ],
)
def test_files_that_do_not_go_together_are_refused(tmp_path, capsys, names, said):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("y\n1\n")
    assert main(["baseline", "build", *(str(tmp_path / name) for name in names), "-o", "x.json", "--model=m", "--version=1"]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give DATA"),
        (["a.csv", "--from-prometheus=http://127.0.0.1:1"], "one of the two"),
        (["a.csv", "--model=m"], "give --model and --version"),
        (["a.csv", "--like=b.json"], "give --version"),
        (["--from-prometheus=http://127.0.0.1:1", "--like=b.json", "--importance=i.json"], "--importance needs DATA"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["baseline", "build", "-o", "b.json", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"), [("i.json", '{"age": 3, "visits": 1}'), ("i.csv", "feature,importance\nage,0.75\nvisits,0.25\n")]
)
def test_importance_is_read_from_a_file_and_bins_from_another_version(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    data = tmp_path / "data.csv"
    data.write_text("age,visits\n" + "".join(f"{20 + i % 50},{i % 3}\n" for i in range(200)))
    build = ["baseline", "build", str(data), "--importance", str(tmp_path / name)]
    assert main([*build, "-o", str(tmp_path / "old.json"), "--model", "churn", "--version", "1", "--bins", "4"]) == 0
    assert main([*build, "-o", str(tmp_path / "new.json"), "--version", "2", "--like", str(tmp_path / "old.json")]) == 0
    old, new = (Baseline.load(tmp_path / f"{age}.json") for age in ("old", "new"))
    assert (new.model, new.version) == ("churn", "2")
    assert [feature.histogram for feature in new.features] == [feature.histogram for feature in old.features]
    assert new.feature("age").importance == 0.75


@pytest.mark.parametrize("text", ["[1]", '{"age": -1}', '{"age": "much"}', "{}", "{"])
def test_importance_that_is_none_is_said(tmp_path, text, capsys):
    (tmp_path / "i.json").write_text(text)
    (tmp_path / "data.csv").write_text("age\n1\n2\n")
    build = ["baseline", "build", str(tmp_path / "data.csv"), "-o", str(tmp_path / "b.json"), "--model", "m", "--version", "1"]
    assert main([*build, "--importance", str(tmp_path / "i.json")]) == 1
    assert "importance" in capsys.readouterr().err
