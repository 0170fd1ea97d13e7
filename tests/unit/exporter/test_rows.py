"""Sampled rows: kept in bounded memory, compared with the baseline's own, and silent where nothing changed."""

import asyncio
import math
import time
from dataclasses import replace

import httpx
import numpy as np
import pandas as pd
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from otel_ml.errors import ConfigurationError
from otel_ml_exporter.baselines import BaselineFiles
from otel_ml_exporter.cli import main
from otel_ml_exporter.config import parse
from otel_ml_exporter.evaluate.rows import row_readings
from otel_ml_exporter.rows.codes import ABSENT, Coder
from otel_ml_exporter.rows.reservoir import Reservoir
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.thresholds import Limits
from otel_ml_exporter.web import application

FLOORS = {
    names.MMD: names.MMD_NOISE_FLOOR,
    names.DOMAIN_CLASSIFIER_AUC: names.DOMAIN_CLASSIFIER_AUC_NOISE_FLOOR,
    names.PCA_ERROR_RATIO: names.PCA_ERROR_RATIO_NOISE_FLOOR,
    names.HOTELLING_T2: names.HOTELLING_T2_NOISE_FLOOR,
}


def frame(rows, seed, *, related=0.95, shift=0.0):
    """Two numbers that go together, one that stands alone and has gaps, and a category."""
    rng = np.random.default_rng(seed)
    height = rng.normal(size=rows)
    weight = related * height + math.sqrt(1 - related**2) * rng.normal(size=rows)
    age = np.where(rng.random(rows) < 0.1, np.nan, rng.uniform(18, 80, rows) + shift)
    return pd.DataFrame({"height": height, "weight": weight, "age": age, "plan": rng.choice(["free", "paid"], rows, p=[0.7, 0.3])})


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A baseline and the sample of its rows, as the command line writes them."""
    directory = tmp_path_factory.mktemp("built")
    frame(6_000, 0).to_csv(directory / "valid.csv", index=False)
    files = ["-o", str(directory / "churn.json"), "--sample", str(directory / "churn.parquet"), "--sample-rows", "3000"]
    assert main(["baseline", "build", str(directory / "valid.csv"), "--model", "churn", "--version", "3", *files]) == 0
    return directory


@pytest.fixture(scope="module")
def watched(built):
    loaded = BaselineFiles(parse({"models": [{"baseline": "churn.json", "sample": "*.parquet"}]}, built).models, built).check()
    return loaded.watched[0]


def scores(watched, data):
    rows = Coder(watched.baseline).rows({name: data[name].tolist() for name in data.columns}, len(data))
    return row_readings(watched.baseline, watched.sample, rows, "1h", Limits())


def over(readings):
    """The scores that are over their noise floors."""
    values = {reading.metric: reading.value for reading in readings}
    return {metric for metric, floor in FLOORS.items() if values[metric] > values[floor]}


def test_the_sample_is_rows_of_the_data(watched):
    data = frame(6_000, 0)
    assert watched.sample.shape == (3_000, 4)
    assert set(watched.sample[:, 0].tolist()) <= set(data["height"].tolist())
    assert np.isnan(watched.sample[:, 2]).mean() == pytest.approx(0.1, abs=0.03)
    assert set(watched.sample[:, 3].tolist()) == {0, 1}


def test_rows_like_the_baseline_s_are_under_every_floor(watched):
    found = [over(scores(watched, frame(1_000, seed))) for seed in range(1, 31)]
    assert sum(map(len, found)) <= 4  # of 120 scores, each over its floor in 1 of 100 windows


def test_features_that_no_longer_go_together_are_seen_though_each_is_as_it_was(watched):
    found = over(scores(watched, frame(1_000, 99, related=0.0)))
    assert {names.MMD, names.PCA_ERROR_RATIO} <= found
    assert names.DOMAIN_CLASSIFIER_AUC not in found


def test_a_feature_that_moved_is_what_the_classifier_goes_by(watched):
    readings = scores(watched, frame(1_000, 99, shift=30))
    assert over(readings) >= {names.MMD, names.DOMAIN_CLASSIFIER_AUC, names.HOTELLING_T2}
    parts = {reading.labels[2]: reading.value for reading in readings if reading.metric is names.DOMAIN_CLASSIFIER_IMPORTANCE}
    assert max(parts, key=parts.get) == "age"
    assert sum(parts.values()) == pytest.approx(1)


def test_features_that_were_not_sent_are_not_compared(watched):
    """Of two that go together one alone is as it was."""
    rows = Coder(watched.baseline).rows({name: column.tolist() for name, column in frame(1_000, 99, related=0.0).items()}, 1_000)
    rows[:, 1] = ABSENT
    assert over(row_readings(watched.baseline, watched.sample, rows, "1h", Limits())) == set()
    rows[:, :] = ABSENT
    assert [reading.metric for reading in row_readings(watched.baseline, watched.sample, rows, "1h", Limits())] == [names.WINDOW_SAMPLES]


def test_few_rows_are_counted_and_not_compared(watched):
    (reading,) = scores(watched, frame(199, 1))
    assert reading == (names.WINDOW_SAMPLES, ("churn", "3", "1h", names.SIGNAL_ROWS), 199)


def test_the_floors_follow_rows_that_are_not_independent(watched):
    """Twenty rows of each user are worth one."""
    data = frame(100, 5, shift=5).loc[np.repeat(np.arange(100), 20)]
    users = replace(watched.baseline, features=tuple(replace(feature, design_effect=20.0) for feature in watched.baseline.features))
    assert over(scores(watched, data))
    assert over(scores(replace(watched, baseline=users), data)) == set()


def test_values_become_numbers_and_no_text_is_kept(watched):
    codes = Coder(watched.baseline).row({"height": 1, "weight": "heavy", "age": None, "plan": "gold", "stranger": 5})
    np.testing.assert_equal(codes, [1.0, math.nan, math.nan, 2.0])
    np.testing.assert_equal(Coder(watched.baseline).row({"plan": "paid", "height": math.inf}), [math.nan, ABSENT, ABSENT, 1.0])
    np.testing.assert_equal(Coder(watched.baseline).row(dict.fromkeys(["plan", "height"], "0a" * 16)), [ABSENT] * 4)


def test_a_reservoir_gives_a_random_sample_of_any_window_in_little_memory():
    hits = np.zeros(5_000)
    for seed in range(40):
        reservoir = Reservoir(100, seed=seed)
        for moment in range(5_000):
            reservoir.add(float(moment), np.array([float(moment)]))
        assert len(reservoir) < 1_000
        sample = reservoir.sample(1_000.0, 1)[:, 0].astype(int)
        assert len(set(sample.tolist())) == 100
        assert sample.min() >= 1_000
        hits[sample] += 1
        assert len(reservoir.sample(4_950.0, 1)) == 50
    quarters = hits[1_000:].reshape(4, -1).sum(axis=1)
    assert quarters == pytest.approx([1_000] * 4, rel=0.15)
    reservoir.forget(4_990.0)
    assert len(reservoir.sample(0.0, 1)) == 10


def test_a_row_that_stands_for_ten_is_chosen_ten_times_as_often():
    reservoir = Reservoir(100, seed=1)
    for moment in range(4_000):
        reservoir.add(float(moment), np.array([float(moment % 2)]), weight=10.0 if moment % 2 else 1.0)
    assert reservoir.sample(0.0, 1).mean() == pytest.approx(10 / 11, abs=0.1)


def published(exporter, metric):
    return {reading.labels: reading.value for reading in exporter.collector._readings if reading.metric is metric}


def post(exporter, body):
    async def send():
        transport = httpx.ASGITransport(application(exporter))
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await client.post("/v1/logs", content=body, headers={"Content-Type": "application/x-protobuf"})

    assert asyncio.run(send()).status_code == 200


def event(data, fingerprint, **attributes):
    """An OTLP request with a prediction event for each row."""
    sent = ExportLogsServiceRequest()
    records = sent.resource_logs.add().scope_logs.add().log_records
    for number, row in enumerate(data.to_dict("records")):
        record = records.add(event_name=names.EVENT_PREDICTION, time_unix_nano=time.time_ns())
        texts = {names.MODEL_NAME: "churn", names.MODEL_VERSION: "3", names.BASELINE_ID: fingerprint, names.PREDICTION_ID: str(number)}
        for key, value in {**texts, **attributes}.items():
            record.attributes.add(key=key).value.string_value = value
        features = record.attributes.add(key=names.PREDICTION_FEATURES).value.kvlist_value
        for key, value in row.items():
            entry = features.values.add(key=key).value  # noqa: PD011 - no DataFrame
            if isinstance(value, str):
                entry.string_value = value
            elif not math.isnan(value):
                entry.double_value = value
    return sent.SerializeToString()


def test_rows_of_events_are_compared_and_forgotten_with_the_process(built, watched):
    document = {"store": ":memory:", "models": [{"baseline": "churn.json", "sample": "churn.parquet"}]}
    exporter = Exporter(parse(document, built))
    exporter.tick(time.time() - 400)
    post(exporter, event(frame(1_200, 7), watched.baseline.fingerprint))
    post(exporter, event(frame(50, 7), "another"))
    exporter.tick(time.time())
    assert published(exporter, names.WINDOW_SAMPLES)["churn", "3", "1h", "rows"] == 1_000
    assert published(exporter, names.DOMAIN_CLASSIFIER_AUC)["churn", "3", "1h"] == pytest.approx(0.5, abs=0.05)
    post(exporter, event(frame(50, 7), watched.baseline.fingerprint))
    before = published(exporter, names.MMD)
    exporter.tick(time.time())
    assert published(exporter, names.MMD) == before
    exporter.tick(time.time() + 90_000)
    assert published(exporter, names.WINDOW_SAMPLES)["churn", "3", "24h", "rows"] == 0
    exporter.close()


def test_without_a_sample_no_row_is_kept(built, watched):
    exporter = Exporter(parse({"store": ":memory:", "models": [{"baseline": "churn.json"}]}, built))
    exporter.tick(time.time())
    post(exporter, event(frame(300, 7), watched.baseline.fingerprint))
    assert exporter.rows._kept == {}
    exporter.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"rows", "is no Parquet file"), (None, "is of baseline"), ("plain", "names no baseline"), ("narrow", "has no column height")],
)
def test_a_sample_that_does_not_fit_stops_the_start(built, tmp_path, content, said):
    baseline = Baseline.load(built / "churn.json")
    baseline.save(tmp_path / "churn.json")
    if content is None:
        replace(baseline, version="4").save(tmp_path / "churn.json")
        (tmp_path / "rows.parquet").write_bytes((built / "churn.parquet").read_bytes())
    elif content == "plain":
        frame(10, 0).to_parquet(tmp_path / "rows.parquet")
    elif content == "narrow":
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table({"age": [1.0]}).replace_schema_metadata({names.BASELINE_ID: baseline.fingerprint})
        parquet.write_table(table, tmp_path / "rows.parquet")
    else:
        (tmp_path / "rows.parquet").write_bytes(content)
    models = parse({"models": [{"baseline": "churn.json", "sample": "rows.parquet"}]}, tmp_path).models
    with pytest.raises(ConfigurationError, match=said):
        BaselineFiles(models, tmp_path).check()
    (tmp_path / "rows.parquet").unlink()
    assert "cannot be read" in BaselineFiles(models, tmp_path).check().missing["rows.parquet"]


def test_a_sample_needs_rows_and_a_sensible_number_of_them(tmp_path, capsys):
    frame(50, 0).to_csv(tmp_path / "valid.csv", index=False)
    build = [
        "baseline",
        "build",
        "-o",
        str(tmp_path / "b.json"),
        "--model",
        "churn",
        "--version",
        "3",
        "--sample",
        str(tmp_path / "s.parquet"),
    ]
    for more, said in (
        ([str(tmp_path / "valid.csv"), "--sample-rows", "0"], "--sample-rows"),
        (["--from-prometheus", "http://127.0.0.1:9"], "--sample needs DATA"),
    ):
        with pytest.raises(SystemExit):
            main([*build, *more])
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["valid.csv"]
