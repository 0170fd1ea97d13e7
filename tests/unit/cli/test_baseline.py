"""`otel-ml baseline`, as a user types it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from otel_ml import Baseline
from otel_ml_exporter.cli import main


@pytest.fixture
def data(tmp_path):
    """400 rows: a number with gaps, a category, a score and what was true."""
    random = np.random.default_rng(0)
    scores = random.random(400)
    path = tmp_path / "valid.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "plan", "score", "churned"])
        for index, score in enumerate(scores):
            writer.writerow(["" if index % 10 == 0 else index % 70, "abc"[index % 3], f"{score:.6f}", int(random.random() < score)])
    return path


@pytest.fixture
def built(data, tmp_path):
    path = tmp_path / "churn-3.json"
    code = main(["baseline", "build", str(data), "-o", str(path), "--model=churn", "--version=3", "--prediction=score", "--label=churned"])
    assert code == 0
    return path


def test_build_reads_numbers_categories_gaps_predictions_and_labels_from_csv(built):
    baseline = Baseline.load(built)
    assert [(feature.name, feature.type) for feature in baseline.features] == [("age", "numeric"), ("plan", "categorical")]
    assert baseline.feature("age").histogram.counts[-2] == 40
    assert baseline.task == "binary"
    assert baseline.calibration is not None


def test_build_reads_parquet_alike(built, data, tmp_path):
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    parquet.write_table(arrow_csv.read_csv(data), tmp_path / "valid.parquet")
    other = tmp_path / "other.json"
    options = ["--model=churn", "--version=3", "--prediction=score", "--label=churned"]
    assert main(["baseline", "build", str(tmp_path / "valid.parquet"), "-o", str(other), *options]) == 0
    assert Baseline.load(other).fingerprint == Baseline.load(built).fingerprint


def test_golden_rows_are_stored_on_request_and_announced(data, built, tmp_path, capsys):
    path = tmp_path / "golden.json"
    options = ["--model=churn", "--version=3", "--prediction=score", "--golden=24"]
    assert main(["baseline", "build", str(data), "-o", str(path), *options]) == 0
    assert "24 golden records are in it: raw rows, as personal as the data are" in capsys.readouterr().out
    golden = Baseline.load(path).golden
    assert (golden.form, golden.columns, len(golden.rows)) == ("pyarrow", ("age", "plan", "churned"), 24)
    assert Baseline.load(built).golden is None


def test_build_takes_only_the_named_features(data, tmp_path):
    path = tmp_path / "b.json"
    assert main(["baseline", "build", str(data), "-o", str(path), "--model=m", "--version=1", "--features=age", "--categorical=age"]) == 0
    assert [(feature.name, feature.type) for feature in Baseline.load(path).features] == [("age", "categorical")]


def test_build_names_every_absent_column_and_those_there_are(data, tmp_path, capsys):
    options = ["--model=m", "--version=1", "--prediction=nope", "--label=neither"]
    assert main(["baseline", "build", str(data), "-o", str(tmp_path / "b.json"), *options]) == 1
    said = capsys.readouterr().err
    assert "column 'nope'" in said
    assert "column 'neither'" in said
    assert "age, plan, score, churned" in said
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(("name", "content", "said"), [("a.txt", "x", ".csv or .parquet"), ("a.csv", "", "cannot be read")])
def test_build_says_what_a_file_should_be(tmp_path, capsys, name, content, said):
    (tmp_path / name).write_text(content)
    assert main(["baseline", "build", str(tmp_path / name), "-o", "x.json", "--model=m", "--version=1"]) == 1
    assert said in capsys.readouterr().err


def test_an_absent_file_is_wrong_usage(tmp_path, capsys):
    assert main(["baseline", "show", str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json: No such file" in capsys.readouterr().err


def test_show_prints_features_quality_and_the_cost_in_series(built, capsys):
    assert main(["baseline", "show", str(built)]) == 0
    said = capsys.readouterr().out
    assert "churn 3" in said
    assert f"{Baseline.load(built).series} series" in said
    assert "10.0%" in said
    assert "accuracy" in said


def test_show_prints_json_for_programs(built, capsys):
    assert main(["baseline", "show", "--json", str(built)]) == 0
    assert json.loads(capsys.readouterr().out)["series"] == Baseline.load(built).series


def test_validate_says_yes_with_0_and_no_with_1_and_every_fault(built, capsys):
    assert main(["baseline", "validate", str(built)]) == 0
    document = json.loads(built.read_text())
    document["samples"] = "many"
    document["features"]["age"]["edges"] = [3, 1]
    built.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["baseline", "validate", str(built)]) == 1
    said = capsys.readouterr().err
    assert "samples: is 'many', not int" in said
    assert "features.age.edges: do not increase" in said
    assert main(["baseline", "validate", "--json", str(built)]) == 1
    assert {"samples", "features.age.edges"} <= {fault["place"] for fault in json.loads(capsys.readouterr().out)["faults"]}


def test_series_is_what_one_replica_really_emits(built):
    """The price that `show` names is the number of points that a reader collects, latency aside."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from otel_ml import Monitor

    reader = InMemoryMetricReader()
    monitor = Monitor(built, meter_provider=MeterProvider([reader]))
    points = [
        point
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    assert len(points) == monitor.baseline.series


def test_wrong_usage_is_exit_code_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["baseline", "build"])
    assert ended.value.code == 2
    assert "DATA" in capsys.readouterr().err


def test_confidence_is_measured_as_asked_for_and_shown_and_compared_as_such(built, data, tmp_path, capsys):
    path = tmp_path / "margin.json"
    options = ["--model=churn", "--version=3", "--prediction=score", "--label=churned", "--confidence=margin"]
    assert main(["baseline", "build", str(data), "-o", str(path), *options]) == 0
    assert main(["baseline", "show", str(path)]) == 0
    assert "margin of probabilities" in capsys.readouterr().out
    assert main(["baseline", "diff", str(built), str(path)]) == 1
    assert "probability -> margin" in capsys.readouterr().out
