"""The store in a real PostgreSQL: the same statements, the same answers."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from otel_ml_exporter.config import Window
from otel_ml_exporter.counts import Series
from otel_ml_exporter.database import Database
from otel_ml_exporter.outcomes import cells, readout
from otel_ml_exporter.outcomes.readout import Judge
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.sources.otlp import OtlpSource
from otel_ml_exporter.sources.points import Point
from otel_ml_exporter.sources.ring import Ring
from support import running_postgresql

pytestmark = pytest.mark.e2e

JUDGE = Judge(cells.CONFIDENCE_EDGES, "1")


@pytest.fixture(scope="module")
def url():
    with running_postgresql() as url:
        yield url


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


def test_outcomes_join_and_repeat_as_in_sqlite(database):
    store = OutcomeStore(database, width=1)
    store.keep([], [Outcome("churn", "b", "1", 20.0)])
    predictions = [
        Prediction("churn", "3", name, 10.0, "1", None, confidence, 1.0) for name, confidence in (("a", 0.2), ("b", 0.9), ("c", 0.7))
    ]
    for _ in range(2):
        store.keep(predictions, [Outcome("churn", "a", "0", 20.0), Outcome("churn", "b", "1", 25.0)])
    arrived = store.window("churn", "3", cells.ARRIVAL, 0, 30)
    joined = readout.joined(arrived, JUDGE)
    assert (joined.outcomes[2], joined.outcomes[13], joined.samples, sum(joined.positives)) == (1, 1, 2, 1)
    assert sum(joined.squared_errors) == pytest.approx(0.05)
    assert readout.coverage(store.window("churn", "3", cells.COHORT, 0, 30)) == pytest.approx(2 / 3)
    assert store.last_outcome("churn", "3") == 20
    assert store.prune(15.0) == 3
    assert store.prune(25.0) == 2


def test_scores_and_totals_are_counted_as_in_sqlite(database):
    store = OutcomeStore(database, width=1)
    predictions = [Prediction("price", "1", str(i), 10.0, str(i % 2), float(i), 0.9, 1.0) for i in range(10)]
    for _ in range(2):
        store.keep(predictions, [Outcome("price", str(i), "1", 10.0 + i) for i in range(10)])
    arrived = store.window("price", "1", cells.ARRIVAL, 0, 30)
    assert readout.confusion(arrived, ("0", "1")) == {("1", "0"): 5, ("1", "1"): 5}
    assert readout.errors(arrived) == pytest.approx((10, 35, 37, 205, 10, 10, 8, 1))
    assert readout.delays(arrived) == {"0.5": pytest.approx(4, rel=0.05), "0.9": pytest.approx(8, rel=0.05)}
    store.keep([], [Outcome("price", "0", "high", 25.0)])
    assert readout.totals(store.totals("price", "1"), JUDGE)[13] == (11, 10, pytest.approx(9.9))
    store.prune(100.0)


def test_several_exporters_that_write_the_two_halves_at_once_miss_no_pair(database, url):
    """Each half is written by another exporter at the same moment; a pair that neither saw would never be counted."""
    databases = [Database(url) for _ in range(2)]
    stores = [OutcomeStore(each) for each in databases]
    now = time.time()

    def write(half):
        for batch in range(20):
            ids = [f"{batch}-{row}" for row in range(20)]
            if half:
                stores[1].keep([], [Outcome("both", name, "1", now) for name in ids])
            else:
                stores[0].keep([Prediction("both", "1", name, now, "1", None, 0.9, 1.0) for name in ids], [])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    found = stores[0].window("both", "1", cells.ARRIVAL, now - 120, now)
    assert readout.count(found, cells.PAIR) == 400
    for each in databases:
        each.close()


def test_a_store_of_an_older_version_is_taken_in_again(database, url):
    with database.write() as connection:
        for table in ("predictions", "outcomes"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
        connection.execute(
            sa.text(
                "CREATE TABLE predictions (model TEXT, version TEXT, prediction_id TEXT, time DOUBLE PRECISION, class TEXT, "
                "value DOUBLE PRECISION, confidence DOUBLE PRECISION, weight DOUBLE PRECISION, PRIMARY KEY (model, version, prediction_id))"
            )
        )
        connection.execute(
            sa.text(
                "CREATE TABLE outcomes (model TEXT, prediction_id TEXT, label TEXT, time DOUBLE PRECISION, number DOUBLE PRECISION, "
                "PRIMARY KEY (model, prediction_id))"
            )
        )
        connection.execute(sa.text("INSERT INTO predictions VALUES ('old', '1', 'a', 1, NULL, 2.0, NULL, 1)"))
        connection.execute(sa.text("INSERT INTO outcomes VALUES ('old', 'a', '1.5', 2)"))
        connection.execute(sa.text("UPDATE schema_version SET version = 1"))
    new = Database(url)
    assert readout.errors(OutcomeStore(new).window("old", "1", cells.ARRIVAL, -60, 30)).error == 0.5
    new.close()


def test_counts_survive_a_restart(database, url):
    series = Series("ml.prediction.observations", "churn", "3", "id", "", "1")
    windows = [Window("1h", 3_600.0)]
    source = OtlpSource(Ring(database, 3_600.0), max_streams=10, retention=86_400.0)
    source._totals.add(Point(b"a" * 16, series, 2, 5.0, delta=False), time.time())
    source.close()
    second = Database(url)
    again = OtlpSource(Ring(second, 3_600.0), max_streams=10, retention=86_400.0)
    again._totals.add(Point(b"a" * 16, series, 3, 7.0, delta=False), time.time())
    (counts,) = again.read(windows, time.time())[windows[0]]
    second.close()
    assert counts.predictions == {"1": 7}
