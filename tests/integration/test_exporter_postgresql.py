"""The store in a real PostgreSQL: the same statements, the same answers."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from otel_ml_exporter.config import Window
from otel_ml_exporter.counts import Series
from otel_ml_exporter.database import Database
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import Judge, Outcome, Prediction
from otel_ml_exporter.outcomes.totals import PairTotals
from otel_ml_exporter.sources.otlp import OtlpSource
from otel_ml_exporter.sources.points import Point
from otel_ml_exporter.sources.ring import Ring
from support import free_port

pytestmark = pytest.mark.e2e

HALVES = Judge((0.5,), "1")


def program(name):
    """A program of the PostgreSQL server, which Debian keeps off the PATH."""
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    assert found, f"{name} is missing; install it: apt-get install postgresql"
    return found


@pytest.fixture(scope="module")
def url():
    """A server of its own on loopback; PostgreSQL refuses to run as root, so root hands it to the user of its package."""
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    port = free_port()
    directory = Path(tempfile.mkdtemp())
    if user:
        shutil.chown(directory, "postgres")

    def run(name, *options):
        subprocess.run([program(name), *options], cwd=directory, check=True, stdout=subprocess.DEVNULL, **user)

    run("initdb", "-D", "data", "-U", "otel", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory}"
    run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")
    yield f"postgresql+psycopg://otel@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
    shutil.rmtree(directory)


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


def test_outcomes_join_and_repeat_as_in_sqlite(database):
    store = OutcomeStore(database)
    store.keep([], [Outcome("churn", "b", "1", 20.0)])
    predictions = [
        Prediction("churn", "3", name, 10.0, "1", None, confidence, 1.0) for name, confidence in (("a", 0.2), ("b", 0.9), ("c", 0.7))
    ]
    for _ in range(2):
        store.keep(predictions, [Outcome("churn", "a", "0", 20.0), Outcome("churn", "b", "1", 25.0)])
    joined = store.joined("churn", "3", HALVES, 0, 30)
    assert (joined.outcomes, joined.positives) == ((1, 1), (0, 1))
    assert joined.squared_errors == pytest.approx((0.04, 0.01))
    assert store.coverage("churn", "3", 0, 30) == pytest.approx(2 / 3)
    assert store.last_outcome("churn", "3") == 20
    assert store.prune(15.0) == 3
    assert store.prune(25.0) == 2


def test_scores_and_totals_are_counted_as_in_sqlite(database):
    store, totals, key = OutcomeStore(database), PairTotals(database), ("price", "1", "id")
    predictions = [Prediction("price", "1", str(i), 10.0, str(i % 2), float(i), 0.9, 1.0) for i in range(10)]
    for _ in range(2):
        store.keep(predictions, [Outcome("price", str(i), "1", 10.0 + i) for i in range(10)])
        totals.update({key: HALVES})
    assert store.confusion("price", "1", ("0", "1"), 0, 30) == {("1", "0"): 5, ("1", "1"): 5}
    assert store.errors("price", "1", 0, 30) == pytest.approx((10, 35, 37, 205, 10, 10))
    assert store.delays("price", "1", 0, 30) == {"0.5": 4, "0.9": 8}
    assert totals.read(key, 2) == ((0, 0, 0), (10, 10, pytest.approx(9)))
    store.keep([], [Outcome("price", "0", "high", 25.0)])
    totals.update({key: HALVES})
    assert totals.read(key, 2)[1] == (11, 10, pytest.approx(9.9))
    store.prune(100.0)


def test_a_store_of_the_first_version_is_brought_up_to_date(database, url):
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE predictions DROP COLUMN counted"))
        connection.execute(sa.text("ALTER TABLE outcomes DROP COLUMN number"))
        connection.execute(sa.text("UPDATE schema_version SET version = 1"))
    new = Database(url)
    OutcomeStore(new).keep([Prediction("old", "1", "a", 1.0, None, 2.0, None, 1.0)], [Outcome("old", "a", "1.5", 2.0)])
    assert OutcomeStore(new).errors("old", "1", 0, 30).error == 0.5
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
