"""Counts received over OTLP: nothing is lost, nothing is counted twice, whatever restarts."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ml import catalogue as names
from otel_ml_exporter.config import Window
from otel_ml_exporter.counts import Series
from otel_ml_exporter.database import Database, StoreError
from otel_ml_exporter.sources.otlp import OtlpSource
from otel_ml_exporter.sources.points import Point
from otel_ml_exporter.sources.ring import Ring, State, spare
from otel_ml_exporter.sources.totals import IDLE, Totals

HOUR = Window("1h", 3_600.0)
DAY = Window("24h", 86_400.0)
PREDICTED = (names.PREDICTION_OBSERVATIONS.name, ((names.BIN, "1"),))
AGE = (names.FEATURE_OBSERVATIONS.name, ((names.FEATURE_NAME, "age"), (names.BIN, "00 (-inf, 18]")))
SERIES = Series("m", "churn", "3", "id", "", "1")


def source_of(database, **options):
    return OtlpSource(Ring(database, DAY.seconds), **{"max_streams": 1_000, "retention": 8 * 86_400.0, **options})


def predicted(source, window=HOUR, at=None):
    """How many predictions of class 1 the source sees in a window."""
    models = source.read([window], time.time() if at is None else at)[window]
    return sum(entry.predictions.get("1", 0.0) for entry in models)


def test_the_first_report_of_a_stream_counts_as_a_whole(database, report):
    source = source_of(database)
    source.receive(report({PREDICTED: 5, AGE: 7}))
    (entry,) = source.read([HOUR], time.time())[HOUR]
    assert (entry.model, entry.version, entry.baseline_id) == ("churn", "3", "id")
    assert entry.predictions == {"1": 5}
    assert entry.features == {"age": {"00 (-inf, 18]": 7}}


def test_cumulative_reports_count_by_their_growth_and_replicas_add_up(database, report):
    source = source_of(database)
    for instance in "ab":
        source.receive(report({PREDICTED: 5}, instance=instance, time=2))
        source.receive(report({PREDICTED: 9}, instance=instance, time=3))
    assert predicted(source) == 18


def test_a_repeated_or_late_report_changes_nothing(database, report):
    source = source_of(database)
    for value, when in ((5, 2), (9, 4), (9, 4), (5, 2), (7, 3)):
        source.receive(report({PREDICTED: value}, time=when))
    assert predicted(source) == 9


def test_a_restarted_process_counts_from_zero_again(database, report):
    source = source_of(database)
    source.receive(report({PREDICTED: 5}, start=1, time=2))
    source.receive(report({PREDICTED: 8}, start=3, time=4))
    assert predicted(source) == 13


def test_a_value_that_falls_without_a_new_start_is_a_restart(database, report):
    source = source_of(database)
    source.receive(report({PREDICTED: 5}, time=2))
    source.receive(report({PREDICTED: 2}, time=3))
    assert predicted(source) == 7


def test_two_workers_without_an_instance_id_are_kept_apart_by_their_start(database, report):
    source = source_of(database)
    for when in range(10, 16):
        source.receive(report({PREDICTED: when}, start=1 + when % 2, time=when, instance=""))
    assert predicted(source) == 14 + 15


def test_delta_reports_add_and_a_repeated_one_does_not(database, report):
    source = source_of(database)
    for start, when in ((1, 2), (2, 3), (2, 3), (3, 4)):
        source.receive(report({PREDICTED: 4}, start=start, time=when, delta=True))
    assert predicted(source) == 12


def test_a_restart_of_the_exporter_neither_loses_nor_repeats(database, report):
    source = source_of(database)
    source.receive(report({PREDICTED: 5}, time=2))
    source.close()
    again = source_of(database)
    assert predicted(again) == 5
    again.receive(report({PREDICTED: 5}, time=2))
    again.receive(report({PREDICTED: 6}, time=3))
    assert predicted(again) == 6


def test_what_was_not_saved_before_a_crash_comes_with_the_next_report(database, report):
    source = source_of(database)
    source.receive(report({PREDICTED: 5}, time=2))
    source.read([HOUR], time.time())
    source.receive(report({PREDICTED: 9}, time=3))
    crashed_and_back = source_of(database)
    crashed_and_back.receive(report({PREDICTED: 11}, time=4))
    assert predicted(crashed_and_back) == 11


def test_a_window_holds_what_came_in_it(database, report):
    start = time.time()
    source = source_of(database)
    for minute in range(181):
        source.receive(report({PREDICTED: minute}, time=minute + 1))
        source.read([], start + 60 * minute)
    end = start + 180 * 60
    assert predicted(source, HOUR, end) == pytest.approx(60, abs=1)
    assert predicted(source, Window("2h", 7_200.0), end) == pytest.approx(120, abs=2)
    assert predicted(source, DAY, end) == 180


def test_an_earlier_window_is_found_where_the_snapshots_reach_back(database, report):
    start = time.time()
    source = source_of(database)
    for minute in range(361):
        source.receive(report({PREDICTED: minute if minute < 180 else 180 + 5 * (minute - 180)}, time=minute + 1))
        source.read([], start + 60 * minute)
    end = start + 360 * 60
    (entry,) = source.earlier([HOUR], end - 4 * 3_600.0)[HOUR]
    assert entry.predictions["1"] == pytest.approx(60, abs=3)
    assert predicted(source, HOUR, end) == pytest.approx(300, abs=6)
    assert source.earlier([HOUR, DAY], end - 5.5 * 3_600.0) == {}


def test_too_many_streams_are_refused_and_counted(database, report):
    source = source_of(database, max_streams=2)
    for instance in "abc":
        rejected = source.receive(report({PREDICTED: 1}, instance=instance))
    assert rejected == 1
    assert source.dropped == {"limit": 1, "overflow": 0, "unusable": 0}
    assert predicted(source) == 2


def test_silent_streams_make_room_and_their_counts_stay():
    totals = Totals(State({}, {}, {}, 1), limit=1)
    assert totals.add(Point(b"a", SERIES, 1, 5.0, delta=False), now=0.0)
    assert not totals.add(Point(b"b", SERIES, 1, 3.0, delta=False), now=IDLE)
    totals.forget(-1.0, {})
    assert totals.add(Point(b"b", SERIES, 1, 3.0, delta=False), now=IDLE + 1)
    change = totals.changes()
    assert change.totals == {1: 8.0}
    assert change.gone_streams == {b"a"}


def test_a_series_is_forgotten_when_nothing_counts_for_it_and_its_id_is_not_given_again(database):
    totals = Totals(State({}, {}, {}, 1), limit=9)
    totals.add(Point(b"a", SERIES, 1, 5.0, delta=False), now=0.0)
    totals.forget(1.0, unchanged_since={1: 4.0})
    assert totals.changes().totals == {1: 5.0}
    totals.forget(1.0, unchanged_since={1: 5.0})
    change = totals.changes()
    assert (change.totals, change.gone_series) == ({}, {1})
    totals.add(Point(b"a", SERIES, 2, 6.0, delta=False), now=2.0)
    assert totals.changes().series == {2: SERIES}


def test_a_failed_save_is_repeated(database, report):
    source = source_of(database)
    source.receive(report({PREDICTED: 5}))
    change = source._totals.changes()
    source._totals.restore(change)
    assert source._totals.changes() == change


def test_points_that_are_no_counts_are_dropped_and_other_metrics_passed_over(database, report):
    source = source_of(database)
    assert source.receive(report({PREDICTED: float("nan")})) == 1
    assert source.receive(report({PREDICTED: -1.0})) == 1
    assert source.receive(report({PREDICTED: 1.0}, model="")) == 1
    assert source.receive(report({("http.server.duration", ()): 1.0})) == 0
    assert source.receive(report({PREDICTED: 1.0}, version="3\0")) == 1
    assert source.receive(report({PREDICTED: 1.0}, version="3" * 2_000)) == 1
    gauge = report({PREDICTED: 1.0})
    gauge.resource_metrics[0].scope_metrics[0].metrics[0].sum.aggregation_temporality = 0
    assert source.receive(gauge) == 1
    assert source.dropped["unusable"] == 6


def test_an_overflow_series_is_a_fault_that_is_logged_once(database, report, caplog):
    source = source_of(database)
    overflow = report({PREDICTED: 1.0}, model="")
    point = overflow.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    point.attributes.add(key="otel.metric.overflow").value.bool_value = True
    source.receive(overflow)
    source.receive(overflow)
    assert source.dropped["overflow"] == 2
    assert [record.getMessage().count("cardinality_limits") for record in caplog.records] == [1]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.booleans(), st.booleans()),
        max_size=30,
    )
)
def test_counts_are_conserved_over_restarts_repeats_and_saves(steps):
    """However two processes grow, restart and repeat themselves, the total is the sum of what they counted."""
    totals = Totals(State({}, {}, {}, 1), limit=100)
    value = {"a": 0, "b": 0}
    start = {"a": 0, "b": 0}
    counted = 0
    for when, (process, growth, restarts, repeats) in enumerate(steps, 1):
        if restarts:
            value[process], start[process] = 0, when
        value[process] += growth
        counted += growth
        point = Point(f"{process}{start[process]}".encode(), SERIES, when, value[process], delta=False)
        totals.add(point, now=when)
        if repeats:
            totals.add(point, now=when)
            totals.restore(totals.changes())
    assert totals.changes().totals.get(1, 0.0) == counted


@given(st.lists(st.floats(1, 5_000), min_size=1, max_size=60))
def test_the_ring_keeps_what_a_window_needs(gaps):
    """Whatever the rhythm, the newest snapshot stays, and one that is not younger than the horizon where there was one."""
    now = sum(gaps)
    times = [(0, 0.0)]
    for gap in gaps:
        times.append((len(times), times[-1][1] + gap))
    spared = set(spare(times, now, 20_000.0))
    kept = [when for identity, when in times if identity not in spared]
    assert len(times) - 1 not in spared
    assert min(kept) == max([when for _, when in times if now - when >= 20_000.0], default=0.0) or now - min(kept) >= 20_000.0


def test_a_ring_of_a_day_stays_small_and_dense_enough_for_every_window_in_it():
    """Days later too: each moment of the last day has a snapshot that is off by at most a 60th of its age."""
    kept: list[tuple[int, float]] = []
    for minute in range(3 * 1_440):
        kept.append((minute, minute * 60.0))
        spared = set(spare(kept, minute * 60.0, DAY.seconds))
        kept = [entry for entry in kept if entry[0] not in spared]
    now = kept[-1][1]
    ages = [now - time for _, time in kept]
    assert len(kept) < 400
    assert DAY.seconds <= ages[0] <= DAY.seconds * 61 / 60
    assert all(older - younger <= max(60.0, older / 60) for older, younger in itertools.pairwise(ages))


def test_a_long_window_does_not_grow_with_the_uptime_of_the_exporter(database, report):
    start = time.time()
    source = source_of(database)
    for step in range(4 * 144):
        source.receive(report({PREDICTED: 10 * step}, time=step + 1))
        source.read([], start + 600 * step)
    end = start + 600 * (4 * 144 - 1)
    assert predicted(source, DAY, end) == pytest.approx(1_440, rel=0.03)
    assert predicted(source, HOUR, end) == pytest.approx(60, abs=10)


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    import sqlalchemy as sa

    url = f"sqlite:///{tmp_path / 'store.db'}"
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE schema_version SET version = 99"))
    database.close()
    with pytest.raises(StoreError, match=r"schema 99.*update otel-ml"):
        Database(url)
