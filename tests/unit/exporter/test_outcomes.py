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
from otel_ml_exporter.evaluate import judge_of, layout_of
from otel_ml_exporter.outcomes import cells, readout
from otel_ml_exporter.outcomes.cells import Layout
from otel_ml_exporter.outcomes.ingest import from_json, from_lines, from_logs, label_text
from otel_ml_exporter.outcomes.ledger import MAX_SEGMENTS, OUTCOME_RESULTS, Known
from otel_ml_exporter.outcomes.readout import Judge
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.shape import UnfitError

HALVES = Judge((0.5,), "1")
KNOWN = Known({("churn", version): Layout((0.5,), (), frozenset("01")) for version in "34"}, {"churn": frozenset({"expert"})})


def predicted(identity, confidence, *, class_="1", time=10.0, weight=1.0, version="3"):
    return Prediction("churn", version, identity, time, class_, None, confidence, weight)


def came(identity, label, time=20.0):
    return Outcome("churn", identity, label, time)


def arrived(store, since=0, until=30, *, version="3", model="churn"):
    return store.window(model, version, cells.ARRIVAL, since, until)


def joined(store, since=0, until=30, *, version="3", judge=HALVES):
    return readout.joined(arrived(store, since, until, version=version), judge)


def coverage(store, since=0, until=30, *, version="3"):
    return readout.coverage(store.window("churn", version, cells.COHORT, since, until))


def waiting(store):
    return readout.count(arrived(store, version=""), cells.WAITING)


def counted(store, version="3", judge=HALVES):
    return readout.totals(store.totals("churn", version), judge)


@pytest.fixture(params=["disk", "memory"])
def store(request, database):
    if request.param == "disk":
        yield opened(database)
        return
    memory = Database("sqlite://")
    yield opened(memory)
    memory.close()


def opened(database):
    store = OutcomeStore(database, width=1)
    store.known = KNOWN
    return store


def test_pairs_are_counted_per_confidence_bin(store):
    store.keep([predicted("a", 0.2), predicted("b", 0.9), predicted("c", 0.5), predicted("d", 0.7)], [])
    store.keep([], [came("a", "0"), came("b", "1"), came("c", "1"), came("x", "1")])
    found = joined(store)
    assert found.outcomes == (2, 1)
    assert found.positives == (1, 1)
    assert found.confidence == pytest.approx((0.7, 0.9))
    assert found.squared_errors == pytest.approx((0.29, 0.01))
    assert found.log_losses == pytest.approx((-np.log(0.8) - np.log(0.5), -np.log(0.9)))
    assert coverage(store) == 0.75
    assert store.last_outcome("churn", "3") == 20
    assert waiting(store) == 1


def test_an_outcome_may_come_before_its_prediction(store):
    store.keep([], [came("a", "1")])
    store.keep([predicted("a", 0.9)], [])
    assert joined(store).samples == 1
    assert waiting(store) == 0


def test_the_last_outcome_wins_and_a_repetition_does_not_move_it(store):
    store.keep([predicted("a", 0.9)], [came("a", "1", 20), came("a", "1", 25)])
    assert joined(store, 20, 30).samples == 0
    assert store.last_outcome("churn", "3") == 20
    store.keep([], [came("a", "0", 28)])
    assert joined(store, 26, 30).positives == (0, 0)
    assert joined(store).samples == 1


def test_windows_are_over_the_arrival_of_the_outcome(store):
    store.keep([predicted("a", 0.9, time=1)], [came("a", "1", 20)])
    assert joined(store, 19, 20).samples == 1
    assert joined(store, 20, 30).samples == 0


def test_versions_share_outcomes_and_not_predictions(store):
    store.keep([predicted("a", 0.9), predicted("a", 0.1, version="4")], [came("a", "1")])
    assert joined(store).outcomes == (0, 1)
    assert joined(store, version="4").outcomes == (1, 0)
    assert coverage(store, version="5") is None
    assert store.last_outcome("churn", "5") is None


def test_a_multiclass_pair_is_positive_when_the_predicted_class_came_true(store):
    store.keep([predicted("a", 0.9, class_="cat"), predicted("b", 0.9, class_="dog")], [came("a", "cat"), came("b", "cat")])
    assert joined(store, judge=Judge((0.5,), None)).positives == (0, 1)


def test_equal_weights_change_nothing_and_unequal_ones_count_less(store):
    store.keep([predicted(name, 0.9, weight=10) for name in "ab"], [came("a", "1"), came("b", "0")])
    assert joined(store).outcomes == (0, 2)
    store.keep([predicted("c", 0.9, weight=40)], [came("c", "0")])
    found = joined(store)
    assert found.samples == pytest.approx(60**2 / (100 + 100 + 1_600))
    assert found.positives[1] / found.outcomes[1] == pytest.approx(1 / 6)


def test_retention_deletes_in_batches(store):
    store.keep([predicted(str(i), 0.5, time=i) for i in range(12_000)], [came(str(i), "1", i) for i in range(12_000)])
    assert store.prune(11_990.0) == 2 * 11_990
    assert store.prune(11_990.0) == 0
    assert store.rows == 20
    assert coverage(store, 0, 12_000) == 1
    assert readout.count(arrived(store, 0, 12_000), cells.PAIR) == 11


def test_the_bins_are_those_of_the_baseline(store):
    """The counts of the store equal the calibration that the baseline counted from the same pairs, edges included."""
    rng = np.random.default_rng(3)
    score = np.round(rng.uniform(0, 1, 900) * 15) / 15
    labels = (rng.uniform(0, 1, 900) < score).astype(int)
    baseline = Baseline.from_data(rng.normal(size=(900, 2)), model="churn", version="3", predictions=score, labels=labels, task="binary")
    store.known = Known({("churn", "3"): layout_of(baseline)})
    store.keep([predicted(str(i), float(p)) for i, p in enumerate(score)], [came(str(i), str(y)) for i, y in enumerate(labels)])
    found = joined(store, judge=judge_of(baseline))
    assert found.outcomes == pytest.approx(baseline.calibration.outcomes)
    assert found.positives == pytest.approx(baseline.calibration.positives)
    assert found.confidence == pytest.approx(baseline.calibration.confidence)


def test_the_confusion_counts_known_classes_by_truth_and_prediction(store):
    store.keep([predicted(name, 0.5, class_=class_) for name, class_ in zip("abcde", ["1", "1", "0", "9", "1"], strict=True)], [])
    store.keep([], [came(name, label) for name, label in zip("abcde", ["1", "0", "0", "1", "9"], strict=True)])
    assert readout.confusion(arrived(store), ("0", "1")) == {("1", "1"): 1, ("0", "1"): 1, ("0", "0"): 1}
    assert readout.confusion(arrived(store, version="4"), ("0", "1")) == {}


def test_a_confusion_of_unequal_weights_has_the_effective_number_of_pairs(store):
    store.keep([predicted("a", 0.9, weight=10), predicted("b", 0.9, weight=30)], [came("a", "1"), came("b", "0")])
    confusion = readout.confusion(arrived(store), ("0", "1"))
    assert sum(confusion.values()) == pytest.approx(40**2 / (100 + 900))
    assert confusion["0", "1"] == pytest.approx(3 * confusion["1", "1"])


def test_errors_of_numbers_are_summed_and_labels_that_are_none_passed_over(store):
    values = {"a": (2.0, "1.5"), "b": (1.0, "3"), "c": (5.0, "high"), "d": (1e300, "1"), "e": (1.0, "1" + "0" * 99 + "0" * 50)}
    store.keep([Prediction("churn", "3", name, 10.0, None, value, None, 1.0) for name, (value, _) in values.items()], [])
    store.keep([], [came(name, label) for name, (_, label) in values.items()])
    assert readout.errors(arrived(store)) == pytest.approx((2, -1.5, 2.5, 4.25, 4.5, 11.25, 1, 1))
    assert readout.errors(arrived(store, version="4")) == (0,) * 8


def test_delays_are_quantiles_of_what_arrived_within_5_percent_and_never_negative(store):
    assert readout.delays(arrived(store)) == {}
    store.keep([predicted("a", 0.5, time=25.0)], [came("a", "1", 20.0)])
    assert readout.delays(arrived(store)) == {"0.5": 0, "0.9": 0}
    store.keep([predicted(str(i), 0.5, time=1_000.0) for i in range(1, 21)], [came(str(i), "1", 1_000.0 + i) for i in range(1, 21)])
    assert readout.delays(arrived(store, 999, 2_000)) == {"0.5": pytest.approx(10, rel=0.05), "0.9": pytest.approx(18, rel=0.05)}


def test_totals_begin_at_nothing_and_hold_each_pair_once(store):
    assert counted(store) == ((0, 0, 0), (0, 0, 0))
    store.keep([predicted("a", 0.2), predicted("b", 0.9), predicted("c", 0.7)], [])
    assert counted(store) == ((0, 0, 0), (0, 0, 0))
    store.keep([], [came("a", "0"), came("b", "1")])
    assert counted(store) == ((1, 0, 0.2), (1, 1, 0.9))
    store.keep([predicted("a", 0.2)], [came("b", "1", 25)])
    assert counted(store) == ((1, 0, 0.2), (1, 1, 0.9))


def test_a_corrected_label_moves_its_pair_and_adds_to_the_totals_so_that_no_counter_falls(store):
    store.keep([predicted("a", 0.9)], [came("a", "1")])
    store.keep([], [came("a", "0", 25)])
    assert joined(store, 0, 24).samples == 0
    assert (joined(store).samples, joined(store).positives) == (1, (0, 0))
    assert coverage(store) == 1
    assert counted(store)[1] == (2, 1, 1.8)


def test_totals_outlive_the_rows_and_the_process(store):
    store.keep([predicted("a", 0.9)], [came("a", "1")])
    store.prune(100.0)
    assert counted(OutcomeStore(store._database)) == ((0, 0, 0), (1, 1, 0.9))
    store.keep([predicted("b", 0.8, time=110)], [came("b", "0", 120)])
    assert counted(store)[1] == (2, 1, pytest.approx(1.7))


def test_totals_are_kept_for_each_version(store):
    store.keep([predicted("a", 0.9), predicted("a", 0.1, version="4")], [came("a", "1")])
    assert counted(store) == ((0, 0, 0), (1, 1, 0.9))
    assert counted(store, "4") == ((1, 1, 0.1), (0, 0, 0))


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["0", "1", None]), st.sampled_from(["", "expert"]), st.booleans()), max_size=30
    )
)
def test_whatever_comes_in_whatever_order_totals_never_fall_and_cells_hold_the_last_state(steps):
    """The window's pairs are those that a join of the rows would give; nothing is counted twice or forgotten."""
    database = Database("sqlite://")
    store = opened(database)
    before = counted(store)
    first, last, trusted = {}, {}, {}
    for when, (name, label, source, together) in enumerate(steps, 1):
        outcomes = [] if label is None else [Outcome("churn", name, label, when, source)]
        predictions = [predicted(name, when / 100, time=when)] if label is None or together else []
        if predictions:
            first.setdefault(name, when / 100)
        if outcomes:
            (trusted if source else last)[name] = label
        store.keep(predictions, outcomes)
        after = counted(store)
        assert all(new >= old for bins in zip(after, before, strict=True) for new, old in zip(*bins, strict=True))
        before = after
    truth = {**last, **trusted}
    pairs = {name: truth[name] for name in first if name in truth}
    found = joined(store, 0, 100)
    assert found.samples == len(pairs)
    assert sum(found.positives) == sum(label == "1" for label in pairs.values())
    assert sum(found.confidence) == pytest.approx(sum(first[name] for name in pairs))
    assert readout.count(arrived(store, 0, 100, version=""), cells.WAITING) == len(truth.keys() - first.keys())
    assert coverage(store, 0, 100) == (len(pairs) / len(first) if first else None)
    database.close()


def became(store, *outcomes):
    return [result for (_, result), rows in store.keep([], outcomes).outcomes.items() for _ in range(rows)]


def test_each_outcome_has_one_defined_result(store):
    """Late, twice, corrected, by several annotators, without a prediction, of a wrong type or model: each is told apart."""
    store.keep([predicted("a", 0.9)], [])
    found = {
        "matched": came("a", "1"),
        "repeated": came("a", "1", 21),
        "corrected": came("a", "0", 22),
        "confirmed": Outcome("churn", "a", "0", 23, "expert"),
        "outranked": Outcome("churn", "a", "1", 24, "anna"),
        "unfit": came("a", "perhaps", 25),
        "waiting": came("nobody", "1"),
        "unknown_model": Outcome("other", "a", "1", 20),
    }
    assert {name: became(store, outcome) for name, outcome in found.items()} == {name: [name] for name in found}
    assert found.keys() | {names.RESULT_INVALID} == set(OUTCOME_RESULTS)
    assert joined(store).positives == (0, 0)


def test_the_first_prediction_of_an_id_stays(store):
    store.keep([predicted("a", 0.9)], [came("a", "1")])
    assert store.keep([predicted("a", 0.1)], []).predictions == {("churn", "repeated"): 1}
    assert joined(store).confidence == pytest.approx((0, 0.9))


def test_labels_of_several_sources_are_compared(store):
    store.keep([], [Outcome("churn", name, label, 20, source) for source in ("anna", "ben") for name, label in (("a", "1"), ("b", source))])
    store.keep([], [Outcome("churn", "b", "anna", 25, "ben")])
    agreement = {
        (cell.predicted, cell.label): sums.pairs for cell, sums in arrived(store, version="").items() if cell.kind == cells.AGREEMENT
    }
    assert agreement == {("1", "1"): 1, ("anna", "anna"): 1}


def test_segments_are_counted_apart_and_there_are_only_so_many(store):
    store.keep([predicted(str(i), 0.9)._replace(segment=f"s{i}") for i in range(60)], [came(str(i), "1") for i in range(60)])
    found = dict(readout.segments(arrived(store)))
    assert len(found) == MAX_SEGMENTS + 1
    assert readout.count(found["__other__"], cells.PAIR) == 10


def test_what_a_decision_was_worth_is_summed_by_gain_and_loss(store):
    store.keep([predicted(name, 0.9) for name in "abc"], [])
    for name, value in (("a", 10.0), ("b", 2.5), ("c", -4.0)):
        store.keep([], [Outcome("churn", name, "1", 20, value=value)])
    store.keep([], [Outcome("churn", "a", "1", 21, value=11.0)])
    found = {cell.label: (sums.pairs, sums.a) for cell, sums in store.totals("churn", "3").items() if cell.kind == cells.VALUE}
    assert found == {"gain": (3, 23.5), "loss": (1, 4.0)}
    assert counted(store)[1].pairs == 3


def test_a_store_of_an_older_version_is_taken_in_again(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    old = Database(url)
    with old.write() as connection:
        for table in ("predictions", "outcomes"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
        connection.execute(
            sa.text(
                "CREATE TABLE predictions (model TEXT, version TEXT, prediction_id TEXT, time DOUBLE, class TEXT, value DOUBLE, "
                "confidence DOUBLE, weight DOUBLE, counted TEXT, PRIMARY KEY (model, version, prediction_id))"
            )
        )
        connection.execute(
            sa.text(
                "CREATE TABLE outcomes (model TEXT, prediction_id TEXT, label TEXT, time DOUBLE, number DOUBLE, PRIMARY KEY (model, prediction_id))"
            )
        )
        connection.execute(sa.text("CREATE TABLE arrivals (model TEXT)"))
        connection.execute(sa.text("INSERT INTO predictions VALUES ('churn', '3', 'a', 10, '1', NULL, 0.9, 1, NULL)"))
        connection.execute(sa.text("INSERT INTO outcomes VALUES ('churn', 'a', '1', 20, 1)"))
        connection.execute(sa.text("UPDATE schema_version SET version = 2"))
    old.close()
    new = Database(url)
    store = OutcomeStore(new)
    assert joined(store, -60, judge=Judge(cells.CONFIDENCE_EDGES, "1")).samples == 1
    assert store.rows == 2
    with new.read() as connection:
        assert {"arrivals", "before_3_predictions", "before_3_outcomes"}.isdisjoint(sa.inspect(connection).get_table_names())
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


def test_lines_are_rows_and_one_that_is_no_json_is_named():
    batch = from_lines(b'{"model": "churn", "prediction_id": "a", "label": 1, "source": "anna", "value": 2}\n{\n', 5.0)
    assert batch.outcomes == [Outcome("churn", "a", "1", 5.0, "anna", 2.0)]
    assert [(rejected.row, rejected.field) for rejected in batch.rejected] == [(1, "row")]


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


def test_a_record_of_arrays_is_as_many_predictions():
    request = ExportLogsServiceRequest()
    record(request, names.EVENT_PREDICTION, ml__model__name="churn", ml__model__version="3", ml__segment="eu")
    attributes = request.resource_logs[0].scope_logs[0].log_records[0].attributes
    for name, kind, values in (("ml.prediction.id", "string_value", ["a", "b"]), ("ml.prediction.confidence", "double_value", [0.2, 1.5])):
        array = attributes.add(key=name).value.array_value
        for value in values:
            setattr(array.values.add(), kind, value)
    batch = from_logs(request, now=9.0)
    assert batch.predictions == [Prediction("churn", "3", "a", 9.0, None, None, 0.2, 1.0, "eu")]
    assert [(rejected.row, rejected.field) for rejected in batch.rejected] == [(0, "ml.prediction.confidence")]


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
