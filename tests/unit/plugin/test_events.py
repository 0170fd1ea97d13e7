"""Predictions and outcomes leave as OpenTelemetry events that can be joined by id."""

import asyncio
import contextlib
import dataclasses
import logging
import math
import os
import uuid

import numpy as np
import pandas as pd
import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider, export
from opentelemetry.sdk.trace import TracerProvider

from otel_ml import Abstain, ConfigurationError, Monitor, current_prediction_ids, record_outcome, testing
from otel_ml._events import is_sampled
from otel_ml._ids import new_id

ROW = {"age": 40.0, "visits": 1}
InMemoryExporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter


@pytest.fixture
def logs():
    exporter, provider = InMemoryExporter(), LoggerProvider()
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    yield provider, lambda: [each for log in exporter.get_finished_logs() for each in each_of(log.log_record)]
    provider.shutdown()


def each_of(record):
    """The predictions of a record, or what else it is, each as a record of its own."""
    ids, attributes = record.attributes["ml.prediction.id"], dict(record.attributes)
    if isinstance(ids, str):
        return [(record.event_name, attributes)]
    arrays = {key: value for key, value in attributes.items() if isinstance(value, tuple)}
    return [(record.event_name, attributes | {key: value[row] for key, value in arrays.items()}) for row in range(len(ids))]


def test_each_prediction_is_an_event_with_its_meaning(numeric, logs):
    provider, sent = logs
    monitor = Monitor(numeric, events=True, logger_provider=provider)
    with monitor.observe([ROW, ROW, ROW], prediction_ids=["a", "b", uuid.UUID(int=7)]) as call:
        call.prediction = [0.25, 0.75, None]
    of_model = {
        "ml.model.name": "churn-numeric",
        "ml.model.version": "3",
        "ml.baseline.id": numeric.fingerprint,
        "ml.model.role": "stable",
    }
    events = sent()
    assert events[0] == (
        "ml.prediction",
        {**of_model, "ml.prediction.id": "a", "ml.prediction.class": "no", "ml.prediction.confidence": 0.25},
    )
    assert events[1][1]["ml.prediction.class"] == "yes"
    assert events[2][1]["ml.prediction.id"] == str(uuid.UUID(int=7))
    assert "ml.prediction.class" not in events[2][1]


def test_ids_are_generated_and_returned(numeric, logs):
    provider, sent = logs
    with Monitor(numeric, events=1.0, logger_provider=provider).observe([ROW, ROW]) as call:
        call.prediction = [0.1, 0.2]
    assert len(set(call.prediction_ids)) == 2
    assert [attributes["ml.prediction.id"] for _, attributes in sent()] == list(call.prediction_ids)


def test_a_decorated_function_sends_events_too(numeric, logs):
    provider, sent = logs
    Monitor(numeric, events=1.0, logger_provider=provider).wrap(lambda _: [0.1, 0.2])([ROW, ROW])
    assert len(sent()) == 2


def test_the_id_decides_who_is_sampled_and_the_weight_makes_up_for_it(numeric, logs):
    provider, sent = logs
    monitor = Monitor(numeric, events=0.25, logger_provider=provider)
    ids = [f"id-{number}" for number in range(4_000)]
    with monitor.observe([ROW] * 4_000, prediction_ids=ids) as call:
        call.prediction = [0.1] * 4_000
    found = sent()
    assert [attributes["ml.prediction.id"] for _, attributes in found] == [one for one in ids if is_sampled(one, 0.25)]
    assert len(found) == pytest.approx(1_000, rel=0.1)
    assert {attributes["ml.prediction.weight"] for _, attributes in found} == {4.0}


@pytest.mark.parametrize("options", [{}, {"segment": "country", "segments": ["eu"]}], ids=["one model", "segments"])
def test_a_batch_is_few_records_of_arrays_that_every_exporter_can_encode(numeric, logs, request, options):
    provider, sent = logs
    own = dataclasses.replace(numeric, model=request.node.name)
    scores = np.linspace(0, 1, 250)
    rows = [ROW | {"country": "eu"}] * 250
    ids = [str(row) for row in range(250)]
    monitor = Monitor(
        own, events=True, abstain=Abstain(confidence_below=0.6), prediction_ids=lambda _: ids, logger_provider=provider, **options
    )
    monitor.wrap(lambda _: scores)(rows)
    (processor,) = provider._multi_log_record_processor._log_record_processors
    records = processor._exporter.get_finished_logs()
    assert [len(one.log_record.attributes["ml.prediction.id"]) for one in records] == [100, 100, 50]
    assert [attributes["ml.prediction.id"] for _, attributes in sent()] == ids
    assert [attributes["ml.prediction.class"] for _, attributes in sent()] == [own.classes[int(score >= own.threshold)] for score in scores]
    assert [attributes["ml.prediction.confidence"] for _, attributes in sent()] == scores.tolist()
    assert {attributes.get("ml.segment") for _, attributes in sent()} == {"eu" if options else None}
    assert encode_logs(records).resource_logs


def test_a_record_of_one_prediction_tells_how_far_out_its_row_lies(numeric, logs):
    provider, sent = logs
    for features in (False, ["age"]):
        predict = Monitor(numeric, events=True, event_features=features, logger_provider=provider).wrap(lambda rows: [0.5] * len(rows))
        predict([ROW])
        predict([ROW, ROW | {"age": 4_000.0}])
    one, *batch, again, first, second = (attributes.get("ml.outlier.distance") for _, attributes in sent())
    assert batch == [None, None]
    assert one == again == first < 10
    assert second > 1_000


def test_without_the_switch_nothing_is_sent(numeric, logs):
    provider, sent = logs
    Monitor(numeric, logger_provider=provider).wrap(lambda _: [0.1])([ROW])
    assert sent() == []


def test_a_forked_child_has_ids_of_its_own():
    new_id()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 64).decode()
    assert len(theirs) == 32
    assert theirs not in {new_id() for _ in range(1_000)}


@pytest.mark.parametrize("outcome", [None, KeyError("no model")])
def test_a_call_without_an_answer_sends_nothing(numeric, logs, outcome):
    provider, sent = logs
    monitor = Monitor(numeric, events=True, logger_provider=provider)
    try:
        with monitor.observe([ROW]):
            if outcome:
                raise outcome
    except KeyError:
        pass
    assert sent() == []
    assert testing.collect(monitor).errors == {}


def test_ids_that_do_not_match_the_rows_are_a_fault_and_send_nothing(numeric, logs):
    provider, sent = logs
    monitor = Monitor(numeric, events=True, logger_provider=provider)
    with monitor.observe([ROW, ROW], prediction_ids=["only one"]) as call:
        call.prediction = [0.1, 0.2]
    assert sent() == []
    assert testing.collect(monitor).errors == {"ValueError": 1}
    assert testing.collect(monitor).predictions["no"] == 2


@pytest.mark.parametrize(("label", "text"), [("yes", "yes"), (True, "True"), (3.0, "3"), (0.25, "0.25")])
def test_an_outcome_is_an_event_with_the_label_as_text(logs, label, text):
    provider, sent = logs
    record_outcome("a", label, model="churn", logger_provider=provider)
    assert sent() == [("ml.outcome", {"ml.model.name": "churn", "ml.prediction.id": "a", "ml.outcome.label": text})]


def test_an_outcome_says_who_found_it_out_and_what_the_decision_was_worth(logs):
    provider, sent = logs
    record_outcome("a", "yes", model="churn", source="anna", value=-12, logger_provider=provider)
    [(_, attributes)] = sent()
    assert (attributes["ml.outcome.source"], attributes["ml.outcome.value"]) == ("anna", -12.0)
    for value in (float("inf"), "12"):
        with pytest.raises(ValueError, match="finite"):
            record_outcome("a", "yes", model="churn", value=value)


@pytest.mark.parametrize(("prediction_id", "label"), [(("a", "b"), "yes"), ("a", ["yes"]), ("a", np.array([1]))])
def test_several_outcomes_at_once_are_refused(prediction_id, label):
    with pytest.raises(ValueError, match="call it for each"):
        record_outcome(prediction_id, label, model="churn")


@pytest.mark.parametrize("arguments", [("", "yes", "churn"), ("a", "yes", ""), ("a", None, "churn"), ("a", float("nan"), "churn")])
def test_an_outcome_of_nothing_is_refused(arguments):
    prediction_id, label, model = arguments
    with pytest.raises(ValueError, match="record_outcome needs"):
        record_outcome(prediction_id, label, model=model)


def test_an_outcome_without_a_provider_warns_that_it_goes_nowhere(caplog):
    with caplog.at_level(logging.WARNING, "otel_ml"):
        record_outcome("a", "yes", model="churn")
    assert "no OpenTelemetry LoggerProvider is configured" in caplog.text


def sent_ids(sent):
    return [attributes["ml.prediction.id"] for _, attributes in sent()]


@pytest.mark.parametrize(
    ("source", "call", "ids"),
    [
        ("order", lambda predict: predict([ROW], "o-1"), ["o-1"]),
        ("order", lambda predict: predict([ROW], order="o-1"), ["o-1"]),
        ("order", lambda predict: predict([ROW, ROW], "o-1"), ["o-1-0", "o-1-1"]),
        ("order", lambda predict: predict([ROW, ROW], [7, 8]), ["7", "8"]),
        (lambda rows, order: order.upper(), lambda predict: predict([ROW], "o-1"), ["O-1"]),
    ],
    ids=["position", "keyword", "numbered", "one a row", "function"],
)
def test_ids_come_from_an_argument_or_a_function(numeric, logs, source, call, ids):
    provider, sent = logs
    monitor = Monitor(numeric, events=True, logger_provider=provider, prediction_ids=source)
    call(monitor.wrap(lambda rows, order: [0.1] * len(rows)))
    assert sent_ids(sent) == ids == list(current_prediction_ids())


@pytest.mark.parametrize("rows", [1, 2])
def test_ids_come_from_the_trace_where_there_is_one(numeric, logs, rows):
    provider, sent = logs
    predict = Monitor(numeric, events=True, logger_provider=provider, prediction_ids="trace").wrap(lambda rows: [0.1] * len(rows))
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        predict([ROW] * rows)
    context = span.get_span_context()
    traced = f"{context.trace_id:032x}-{context.span_id:016x}"
    assert sent_ids(sent) == ([traced] if rows == 1 else [f"{traced}-0", f"{traced}-1"])
    predict([ROW])
    assert len(current_prediction_ids()[0]) == 32


def test_an_unknown_parameter_stops_the_start(numeric):
    with pytest.raises(ConfigurationError, match=r"prediction_ids: are 'oder', which is no parameter; give 'trace', .* one of rows, order"):
        Monitor(numeric, events=True, prediction_ids="oder").wrap(lambda rows, order: [0.1])


def test_ids_that_cannot_be_picked_are_generated(numeric, logs):
    provider, sent = logs
    monitor = Monitor(numeric, events=True, logger_provider=provider, prediction_ids=lambda _: 1 / 0)
    assert monitor.wrap(lambda _: [0.1])([ROW]) == [0.1]
    assert (len(sent()), testing.collect(monitor).errors) == (1, {"ZeroDivisionError": 1})


@pytest.mark.parametrize(
    ("answer", "ids"),
    [([{"x": 1, "y": 2}], "o-2"), (None, "o-2"), ([0.1], ["o-2", "o-3"]), (KeyError("boom"), "o-2")],
    ids=["an unreadable answer", "no answer", "ids for other rows", "an exception"],
)
def test_a_call_without_predictions_does_not_show_the_ids_of_the_call_before(numeric, logs, answer, ids):
    """Whoever hands them on would book the outcome to a row of somebody else."""
    provider, _ = logs
    answers = iter([[0.1], answer])

    @Monitor(numeric, events=True, logger_provider=provider, prediction_ids="order").wrap
    def predict(rows, order):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    predict([ROW], "o-1")
    assert current_prediction_ids() == ("o-1",)
    with contextlib.suppress(KeyError):
        predict([ROW], ids)
    assert current_prediction_ids() == ()


def test_a_missing_id_among_those_given_is_generated(numeric, logs):
    provider, sent = logs
    monitor = Monitor(numeric, events=True, logger_provider=provider)
    with monitor.observe([ROW] * 3, prediction_ids=[None, "b", math.nan]) as call:
        call.prediction = [0.1, 0.2, 0.3]
    assert [len(one) for one in sent_ids(sent)] == [32, 1, 32]


def test_each_task_sees_the_ids_of_its_own_predictions(numeric, logs):
    provider, _ = logs

    @Monitor(numeric, events=True, logger_provider=provider, prediction_ids="order").wrap
    async def predict(rows, order):
        await asyncio.sleep(0)
        return [0.1]

    async def serve(order):
        await predict([ROW], order)
        return current_prediction_ids()

    async def together():
        return await asyncio.gather(*(serve(f"o-{number}") for number in range(5)))

    assert asyncio.run(together()) == [(f"o-{number}",) for number in range(5)]


PERSON = {"age": 40.5, "visits": 3, "plan": "pro", "active": True}


def features(sent):
    return [attributes.get("ml.prediction.features") for _, attributes in sent()]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(False, None), (True, PERSON), (["plan", "age"], {"plan": "pro", "age": 40.5})],
    ids=["off", "all", "listed"],
)
@pytest.mark.parametrize("form", ["row", "rows", "columns", "frame"])
def test_features_are_sent_where_they_were_asked_for(baseline, logs, chosen, expected, form):
    provider, sent = logs
    columns = {name: np.array([value]) for name, value in PERSON.items()}
    data = {"row": PERSON, "rows": [PERSON], "columns": columns, "frame": pd.DataFrame([PERSON])}[form]
    Monitor(baseline, events=True, event_features=chosen, logger_provider=provider).wrap(lambda _: [0.1])(data)
    assert features(sent) == [expected]


def test_features_of_a_large_matrix_are_those_of_their_row(numeric, logs):
    provider, sent = logs
    data = np.column_stack([np.arange(9_000.0), np.ones(9_000)])
    options = {"events": 0.01, "event_features": ["age"], "prediction_ids": lambda X: list(range(len(X)))}
    Monitor(numeric, **options, logger_provider=provider).wrap(lambda X: np.full(len(X), 0.1))(data)
    assert {attributes["ml.prediction.id"]: attributes["ml.prediction.features"]["age"] for _, attributes in sent()} == {
        str(row): float(row) for row in range(9_000) if is_sampled(str(row), 0.01)
    }


def test_what_is_missing_is_left_out(baseline, logs):
    provider, sent = logs
    monitor = Monitor(baseline, events=True, event_features=True, logger_provider=provider)
    monitor.wrap(lambda _: [0.1, 0.2])([{"age": None, "visits": float("nan"), "plan": None}, {}])
    assert features(sent) == [None, None]


def test_hashed_features_join_across_processes_of_one_key(baseline, logs, monkeypatch):
    provider, sent = logs
    for key in ("secret", "secret", "another"):
        monkeypatch.setenv("OTEL_ML_HASH_KEY", key)
        monitor = Monitor(baseline, events=True, event_features=["plan", "age"], hash_features=["plan"], logger_provider=provider)
        monitor.wrap(lambda _: [0.1])([PERSON])
    first, second, third = features(sent)
    assert first == second != third
    assert (first["age"], len(first["plan"])) == (40.5, 32)
    assert "pro" not in str(sent())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"event_features": True}, "event_features: are given without events"),
        ({"events": True, "event_features": ["plan", "pln"]}, "event_features: name 'pln'"),
        ({"events": True, "event_features": "plan"}, r"give a list: \['plan'\]"),
        ({"events": True, "event_features": ["age"], "hash_features": ["plan"]}, "hash_features: name 'plan'"),
        ({"events": True, "event_features": True, "hash_features": ["plan"]}, "set OTEL_ML_HASH_KEY to one secret text in all replicas"),
    ],
)
def test_features_that_cannot_be_sent_as_asked_stop_the_start(baseline, monkeypatch, options, problem):
    monkeypatch.delenv("OTEL_ML_HASH_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=problem):
        Monitor(baseline, **options)


@pytest.mark.parametrize(
    ("value", "sent_as"),
    [
        (10**400, math.inf),
        (2**63, 2.0**63),
        (-(2**63), -(2**63)),
        (b"ab", "ab"),
        ("x" * 500, "x" * 99 + "…"),
        ("\ud800", "?"),
        (np.float32(0.5), 0.5),
    ],
    ids=range(7),
)
def test_strange_values_are_sent_as_every_exporter_can_encode_them(baseline, logs, value, sent_as):
    provider, sent = logs
    monitor = Monitor(baseline, events=True, event_features=["plan"], logger_provider=provider)
    monitor.wrap(lambda _: [0.1])([PERSON | {"plan": value}])
    assert features(sent) == [{"plan": sent_as}]
    (processor,) = provider._multi_log_record_processor._log_record_processors
    assert encode_logs(processor._exporter.get_finished_logs()).resource_logs


def test_a_withheld_prediction_says_so(numeric, logs):
    provider, sent = logs
    monitor = Monitor(numeric, events=True, abstain=Abstain(confidence_below=0.8), logger_provider=provider)
    monitor.wrap(lambda _: [0.6, 0.9])([ROW, ROW])
    assert [attributes.get("ml.prediction.abstained") for _, attributes in sent()] == [True, False]


def test_segments_are_on_events(numeric, logs):
    provider, sent = logs
    own = dataclasses.replace(numeric, model="segmented-events")
    monitor = Monitor(own, events=True, segment="country", segments=["eu"], logger_provider=provider)
    monitor.wrap(lambda rows: [0.1] * len(rows))([ROW | {"country": "eu"}, ROW | {"country": "ch"}])
    assert [attributes["ml.segment"] for _, attributes in sent()] == ["eu", "__other__"]
