"""Predictions and outcomes: taken in, kept once, and joined in the store."""

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from otel_ml_exporter.database import Database
from otel_ml_exporter.evaluate import judge_of
from otel_ml_exporter.outcomes.ingest import from_json, from_logs, label_text
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import Judge, Outcome, Prediction
from otel_ml_exporter.outcomes.totals import PairTotals
from otel_ml_exporter.shape import UnfitError

HALVES = Judge((0.5,), "1")


def predicted(identity, confidence, *, class_="1", time=10.0, weight=1.0, version="3"):
    return Prediction("churn", version, identity, time, class_, None, confidence, weight)


def came(identity, label, time=20.0):
    return Outcome("churn", identity, label, time)


@pytest.fixture(params=["disk", "memory"])
def store(request, database):
    if request.param == "disk":
        yield OutcomeStore(database)
        return
    memory = Database("sqlite://")
    yield OutcomeStore(memory)
    memory.close()


def test_pairs_are_counted_per_confidence_bin(store):
    store.keep([predicted("a", 0.2), predicted("b", 0.9), predicted("c", 0.5), predicted("d", 0.7)], [])
    store.keep([], [came("a", "0"), came("b", "1"), came("c", "1"), came("x", "1")])
    joined = store.joined("churn", "3", HALVES, 0, 30)
    assert joined.outcomes == (2, 1)
    assert joined.positives == (1, 1)
    assert joined.confidence == pytest.approx((0.7, 0.9))
    assert joined.squared_errors == pytest.approx((0.29, 0.01))
    assert store.coverage("churn", "3", 0, 30) == 0.75
    assert store.last_outcome("churn", "3") == 20


def test_an_outcome_may_come_before_its_prediction(store):
    store.keep([], [came("a", "1")])
    store.keep([predicted("a", 0.9)], [])
    assert store.joined("churn", "3", HALVES, 0, 30).samples == 1


def test_the_last_outcome_wins_and_a_repetition_does_not_move_it(store):
    store.keep([predicted("a", 0.9)], [came("a", "1", 20), came("a", "1", 25)])
    assert store.last_outcome("churn", "3") == 20
    store.keep([], [came("a", "0", 28)])
    assert store.joined("churn", "3", HALVES, 26, 30).positives == (0, 0)
    assert store.joined("churn", "3", HALVES, 0, 30).samples == 1


def test_windows_are_over_the_arrival_of_the_outcome(store):
    store.keep([predicted("a", 0.9, time=1)], [came("a", "1", 20)])
    assert store.joined("churn", "3", HALVES, 19, 20).samples == 1
    assert store.joined("churn", "3", HALVES, 20, 30).samples == 0


def test_versions_share_outcomes_and_not_predictions(store):
    store.keep([predicted("a", 0.9), predicted("a", 0.1, version="4")], [came("a", "1")])
    assert store.joined("churn", "3", HALVES, 0, 30).outcomes == (0, 1)
    assert store.joined("churn", "4", HALVES, 0, 30).outcomes == (1, 0)
    assert store.coverage("churn", "5", 0, 30) is None
    assert store.last_outcome("churn", "5") is None


def test_a_multiclass_pair_is_positive_when_the_predicted_class_came_true(store):
    store.keep([predicted("a", 0.9, class_="cat"), predicted("b", 0.9, class_="dog")], [came("a", "cat"), came("b", "cat")])
    assert store.joined("churn", "3", Judge((0.5,), None), 0, 30).positives == (0, 1)


def test_equal_weights_change_nothing_and_unequal_ones_count_less(store):
    store.keep([predicted("a", 0.9, weight=10), predicted("b", 0.9, weight=10)], [came("a", "1"), came("b", "0")])
    assert store.joined("churn", "3", HALVES, 0, 30).outcomes == (0, 2)
    store.keep([predicted("b", 0.9, weight=30)], [])
    joined = store.joined("churn", "3", HALVES, 0, 30)
    assert joined.samples == pytest.approx(40**2 / (100 + 900))
    assert joined.positives[1] / joined.outcomes[1] == pytest.approx(0.25)


def test_retention_deletes_in_batches(store):
    store.keep([predicted(str(i), 0.5, time=i) for i in range(12_000)], [came(str(i), "1", i) for i in range(12_000)])
    assert store.prune(11_990.0) == 2 * 11_990
    assert store.prune(11_990.0) == 0


def test_the_bins_are_those_of_the_baseline(store):
    """The counts of the store equal the calibration that the baseline counted from the same pairs, edges included."""
    rng = np.random.default_rng(3)
    score = np.round(rng.uniform(0, 1, 900) * 15) / 15
    labels = (rng.uniform(0, 1, 900) < score).astype(int)
    baseline = Baseline.from_data(rng.normal(size=(900, 2)), model="churn", version="3", predictions=score, labels=labels, task="binary")
    store.keep([predicted(str(i), float(p)) for i, p in enumerate(score)], [came(str(i), str(y)) for i, y in enumerate(labels)])
    joined = store.joined("churn", "3", judge_of(baseline), 0, 30)
    assert joined.outcomes == pytest.approx(baseline.calibration.outcomes)
    assert joined.positives == pytest.approx(baseline.calibration.positives)
    assert joined.confidence == pytest.approx(baseline.calibration.confidence)


def test_the_confusion_counts_known_classes_by_truth_and_prediction(store):
    store.keep([predicted(name, 0.5, class_=class_) for name, class_ in zip("abcde", ["1", "1", "0", "9", "1"], strict=True)], [])
    store.keep([], [came(name, label) for name, label in zip("abcde", ["1", "0", "0", "1", "9"], strict=True)])
    assert store.confusion("churn", "3", ("0", "1"), 0, 30) == {("1", "1"): 1, ("0", "1"): 1, ("0", "0"): 1}
    assert store.confusion("churn", "4", ("0", "1"), 0, 30) == {}


def test_a_confusion_of_unequal_weights_has_the_effective_number_of_pairs(store):
    store.keep([predicted("a", 0.9, weight=10), predicted("b", 0.9, weight=30)], [came("a", "1"), came("b", "0")])
    confusion = store.confusion("churn", "3", ("0", "1"), 0, 30)
    assert sum(confusion.values()) == pytest.approx(40**2 / (100 + 900))
    assert confusion["0", "1"] == pytest.approx(3 * confusion["1", "1"])


def test_errors_of_numbers_are_summed_and_labels_that_are_none_passed_over(store):
    values = {"a": (2.0, "1.5"), "b": (1.0, "3"), "c": (5.0, "high"), "d": (1e300, "1"), "e": (1.0, "1" + "0" * 99 + "0" * 50)}
    store.keep([Prediction("churn", "3", name, 10.0, None, value, None, 1.0) for name, (value, _) in values.items()], [])
    store.keep([], [came(name, label) for name, (_, label) in values.items()])
    assert store.errors("churn", "3", 0, 30) == pytest.approx((2, -1.5, 2.5, 4.25, 4.5, 11.25))
    assert store.errors("churn", "4", 0, 30) == (0, 0, 0, 0, 0, 0)


def test_delays_are_quantiles_of_what_arrived_and_never_negative(store):
    assert store.delays("churn", "3", 0, 30) == {}
    store.keep([predicted("a", 0.5, time=25.0)], [came("a", "1", 20.0)])
    assert store.delays("churn", "3", 0, 30) == {"0.5": 0, "0.9": 0}
    store.keep([predicted(str(i), 0.5, time=1_000.0) for i in range(1, 21)], [came(str(i), "1", 1_000.0 + i) for i in range(1, 21)])
    assert store.delays("churn", "3", 999, 2_000) == {"0.5": 10, "0.9": 18}


KEY = ("churn", "3", "fingerprint")


@pytest.fixture
def totals(store):
    return PairTotals(store._database)


def counted(totals, judge=HALVES, key=KEY):
    totals.update({key: judge})
    return totals.read(key, 2)


def test_totals_begin_at_nothing_and_hold_each_pair_once(store, totals):
    assert counted(totals) == ((0, 0, 0), (0, 0, 0))
    store.keep([predicted("a", 0.2), predicted("b", 0.9), predicted("c", 0.7)], [])
    assert counted(totals) == ((0, 0, 0), (0, 0, 0))
    store.keep([], [came("a", "0"), came("b", "1")])
    for _ in range(2):
        assert counted(totals) == ((1, 0, 0.2), (1, 1, 0.9))
    store.keep([predicted("a", 0.2)], [came("b", "1", 25)])
    assert counted(totals) == ((1, 0, 0.2), (1, 1, 0.9))


def test_a_prediction_that_comes_after_its_outcome_is_counted(store, totals):
    store.keep([], [came("a", "1")])
    counted(totals)
    store.keep([predicted("a", 0.9)], [])
    assert counted(totals) == ((0, 0, 0), (1, 1, 0.9))


def test_a_corrected_label_is_a_pair_of_its_own_so_that_no_counter_falls(store, totals):
    store.keep([predicted("a", 0.9)], [came("a", "1")])
    counted(totals)
    store.keep([], [came("a", "0", 25)])
    assert counted(totals)[1] == (2, 1, 1.8)


def test_totals_outlive_the_rows_and_the_process(store, totals):
    store.keep([predicted("a", 0.9)], [came("a", "1")])
    counted(totals)
    store.prune(100.0)
    assert PairTotals(store._database).read(KEY, 2) == ((0, 0, 0), (1, 1, 0.9))
    store.keep([predicted("b", 0.8, time=110)], [came("b", "0", 120)])
    assert counted(totals)[1] == (2, 1, pytest.approx(1.7))


def test_totals_are_kept_for_each_version_and_baseline(store, totals):
    store.keep([predicted("a", 0.9), predicted("a", 0.1, version="4")], [came("a", "1")])
    totals.update({KEY: HALVES, ("churn", "4", "other"): HALVES})
    assert totals.read(KEY, 2) == ((0, 0, 0), (1, 1, 0.9))
    assert totals.read(("churn", "4", "other"), 2) == ((1, 1, 0.1), (0, 0, 0))
    assert totals.read(("churn", "3", "new"), 2) == ((0, 0, 0), (0, 0, 0))


def test_totals_of_a_model_that_nobody_wants_are_not_counted_and_its_arrivals_are_not_hoarded(store, totals):
    store.keep([predicted("a", 0.9)], [came("a", "1")])
    assert counted(totals, judge=None) == ((0, 0, 0), (0, 0, 0))
    assert counted(totals) == ((0, 0, 0), (0, 0, 0))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["0", "1", None]), st.booleans()), max_size=30))
def test_totals_never_fall_whatever_comes_in_whatever_order(steps):
    database = Database("sqlite://")
    store, totals = OutcomeStore(database), PairTotals(database)
    before = totals.read(KEY, 2)
    for when, (name, label, pruned) in enumerate(steps):
        store.keep([predicted(name, 0.9, time=when)] if label is None else [], [] if label is None else [came(name, label, when)])
        after = counted(totals)
        assert all(
            new >= old for after_bin, before_bin in zip(after, before, strict=True) for new, old in zip(after_bin, before_bin, strict=True)
        )
        before = after
        if pruned:
            store.prune(when - 5)
    database.close()


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    old = Database(url)
    with old.write() as connection:
        connection.execute(sa.text("ALTER TABLE predictions DROP COLUMN counted"))
        connection.execute(sa.text("ALTER TABLE outcomes DROP COLUMN number"))
        connection.execute(sa.text("UPDATE schema_version SET version = 1"))
    old.close()
    new = Database(url)
    store = OutcomeStore(new)
    store.keep([predicted("a", 0.9)], [came("a", "1")])
    assert counted(PairTotals(new))[1] == (1, 1, 0.9)
    new.close()


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (3.0, "3"),
        (3, "3"),
        ("3", "3"),
        (True, "True"),
        (10**400, "1" + "0" * 98 + "…"),
        (2.5, "2.5"),
        ("JFK", "JFK"),
        ("x" * 200, "x" * 99 + "…"),
    ],
)
def test_labels_have_one_form(label, text):
    assert label_text(label) == text


@pytest.mark.parametrize("label", [None, "", float("nan"), float("inf"), [], {}, "a\0", "\ud800"])
def test_what_is_no_label_is_refused(label):
    with pytest.raises(UnfitError):
        label_text(label)


ROW = {"model": "churn", "prediction_id": "a", "label": 1}


@pytest.mark.parametrize("document", [ROW, [ROW], {"outcomes": [ROW]}])
def test_outcomes_come_as_one_a_list_or_an_envelope(document):
    assert from_json(document, 5.0).outcomes == [Outcome("churn", "a", "1", 5.0)]


def test_each_bad_row_is_named_with_its_field():
    batch = from_json([ROW, {"model": 3, "label": None, "when": 1}, "text"], 5.0)
    assert len(batch.outcomes) == 1
    assert [(rejected.row, rejected.field) for rejected in batch.rejected] == [
        (1, "model"),
        (1, "prediction_id"),
        (1, "label"),
        (1, "when"),
        (2, "row"),
    ]


@pytest.mark.parametrize("document", [None, 3, [], {"outcomes": []}, [ROW] * 10_001])
def test_a_document_without_rows_or_with_too_many_is_refused(document):
    with pytest.raises(UnfitError):
        from_json(document, 5.0)


def record(request, event, *, by_attribute=False, time=0, **attributes):
    log = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=time)
    if by_attribute:
        log.attributes.add(key="event.name").value.string_value = event
    else:
        log.event_name = event
    for name, value in attributes.items():
        kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(log.attributes.add(key=name.replace("__", ".")).value, kind, value)


def test_events_become_predictions_and_outcomes():
    request = ExportLogsServiceRequest()
    identity = {"ml__model__name": "churn", "ml__prediction__id": "a"}
    full = {"ml__prediction__class": "1", "ml__prediction__confidence": 0.9, "ml__prediction__weight": 4.0}
    record(request, names.EVENT_PREDICTION, time=2_000_000_000, ml__model__version="3", **identity, **full)
    record(request, names.EVENT_PREDICTION, by_attribute=True, ml__model__version="3", **identity, ml__prediction__value=-2.5)
    record(request, names.EVENT_OUTCOME, **identity, ml__outcome__label=True)
    record(request, "user.login", **identity)
    batch = from_logs(request, now=9.0)
    assert batch.predictions == [
        Prediction("churn", "3", "a", 2.0, "1", None, 0.9, 4.0),
        Prediction("churn", "3", "a", 9.0, None, -2.5, None, 1.0),
    ]
    assert batch.outcomes == [Outcome("churn", "a", "True", 9.0)]
    assert batch.rejected == []


def test_an_event_without_its_attributes_is_rejected_by_name():
    request = ExportLogsServiceRequest()
    record(request, names.EVENT_OUTCOME, ml__model__name="churn", ml__outcome__label="1")
    record(
        request,
        names.EVENT_PREDICTION,
        ml__model__name="churn",
        ml__model__version="3",
        ml__prediction__id="a",
        ml__prediction__confidence=1.5,
    )
    rejected = from_logs(request, now=9.0).rejected
    assert [(entry.row, entry.field) for entry in rejected] == [(0, "ml.prediction.id"), (1, "ml.prediction.confidence")]


def test_a_confidence_that_is_not_a_number_is_absent():
    request = ExportLogsServiceRequest()
    identity = {"ml__model__name": "churn", "ml__model__version": "3", "ml__prediction__id": "a"}
    record(request, names.EVENT_PREDICTION, **identity, ml__prediction__confidence=float("nan"))
    assert from_logs(request, now=9.0).predictions[0].confidence is None
