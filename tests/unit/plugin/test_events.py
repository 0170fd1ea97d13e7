"""Predictions and outcomes leave as OpenTelemetry events that can be joined by id."""

import logging
import uuid

import pytest
from opentelemetry.sdk._logs import LoggerProvider, export

from otel_ml import Monitor, record_outcome, testing
from otel_ml._events import is_sampled

ROW = {"age": 40.0, "visits": 1}
InMemoryExporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter


@pytest.fixture
def logs():
    exporter, provider = InMemoryExporter(), LoggerProvider()
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    yield provider, lambda: [(log.log_record.event_name, dict(log.log_record.attributes)) for log in exporter.get_finished_logs()]
    provider.shutdown()


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


def test_without_the_switch_nothing_is_sent(numeric, logs):
    provider, sent = logs
    Monitor(numeric, logger_provider=provider).wrap(lambda _: [0.1])([ROW])
    assert sent() == []


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


@pytest.mark.parametrize("arguments", [("", "yes", "churn"), ("a", "yes", ""), ("a", None, "churn"), ("a", float("nan"), "churn")])
def test_an_outcome_of_nothing_is_refused(arguments):
    prediction_id, label, model = arguments
    with pytest.raises(ValueError, match="record_outcome needs"):
        record_outcome(prediction_id, label, model=model)


def test_an_outcome_without_a_provider_warns_that_it_goes_nowhere(caplog):
    with caplog.at_level(logging.WARNING, "otel_ml"):
        record_outcome("a", "yes", model="churn")
    assert "no OpenTelemetry LoggerProvider is configured" in caplog.text
