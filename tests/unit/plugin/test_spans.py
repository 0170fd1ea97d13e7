"""Traces, where they are asked for: on the request's span, or on one of the call's own."""

import asyncio

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel_ml import Baseline, ConfigurationError, Monitor, stats, testing

ROW = {"age": 40.0, "visits": 1}
MODEL = {"ml.model.name": "churn-numeric", "ml.model.version": "3"}
PREDICTED = {**MODEL, "ml.prediction.class": "yes", "ml.prediction.confidence": 0.9}


@pytest.fixture
def said(numeric):
    """What a span of the row and of this prediction tells."""
    outliers = numeric.outliers
    (distance,) = stats.mahalanobis(
        (np.array([list(ROW.values())]) - outliers.mean) / outliers.scale, np.zeros(2), np.array(outliers.precision)
    )
    return {**PREDICTED, "ml.outlier.distance": pytest.approx(distance)}


@pytest.fixture
def tracing():
    """A provider, and the spans that ended: their name, attributes and the name of their parent."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield (
        provider,
        lambda: [(span.name, dict(span.attributes), span.parent and span.parent.span_id) for span in exporter.get_finished_spans()],
    )
    provider.shutdown()


@pytest.fixture
def request_span(tracing):
    with tracing[0].get_tracer("test").start_as_current_span("GET /predict") as span:
        yield span


def test_the_current_span_tells_what_was_predicted_and_how_far_out_the_row_lies(numeric, request_span, said):
    Monitor(numeric, spans="current").wrap(lambda _: [0.9])([ROW])
    assert dict(request_span.attributes) == said


def test_the_span_tells_the_energy_of_logits(request_span):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 3))
    rows, options = rng.normal(size=(300, 1)), {"predictions": logits, "logits": True, "task": "multiclass", "classes": ["a", "b", "c"]}
    Monitor(Baseline.from_data(rows, model="logits", version="1", **options), spans="current").wrap(lambda _: logits[:1])(rows[:1])
    assert request_span.attributes["ml.prediction.energy"] == pytest.approx(stats.energy(logits[:1])[0])


def test_where_the_distance_cannot_be_told_the_rest_is(numeric, request_span, monkeypatch):
    monitor = Monitor(numeric, spans="current")
    monkeypatch.setattr(monitor._counts.meaning, "distances", lambda _: 1 / 0)
    monitor.wrap(lambda _: [0.9])([ROW])
    assert dict(request_span.attributes) == PREDICTED
    assert testing.collect(monitor).errors == {"ZeroDivisionError": 1}


def test_a_span_of_its_own_ends_whatever_becomes_of_the_events(numeric, tracing):
    provider, ended = tracing
    monitor = Monitor(numeric, spans="own", events=True, prediction_ids=lambda _: ["too", "many"], tracer_provider=provider)
    monitor.wrap(lambda _: [0.9])([ROW])
    assert [name for name, *_ in ended()] == ["predict churn-numeric"]
    assert testing.collect(monitor).errors == {"ValueError": 1}


def test_of_a_batch_the_span_tells_the_model(numeric, request_span):
    Monitor(numeric, spans="current").wrap(lambda _: [0.9, 0.1])([ROW, ROW])
    assert dict(request_span.attributes) == MODEL


def test_without_a_recording_span_nothing_happens(numeric):
    monitor = Monitor(numeric, spans="current")
    assert monitor.wrap(lambda _: [0.9])([ROW]) == [0.9]
    with TracerProvider(sampler=ALWAYS_OFF).get_tracer("test").start_as_current_span("unsampled"):
        monitor.wrap(lambda _: [0.9])([ROW])
    assert testing.collect(monitor).errors == {}


def test_nothing_is_said_unasked(numeric, request_span):
    Monitor(numeric).wrap(lambda _: [0.9])([ROW])
    assert dict(request_span.attributes) == {}


@pytest.mark.parametrize("kind", ["function", "coroutine", "observe"])
def test_a_span_of_its_own_covers_the_call_and_is_current_in_it(numeric, tracing, request_span, kind, said):
    provider, ended = tracing
    monitor = Monitor(numeric, spans="own", tracer_provider=provider)
    inside = []

    def predict(_):
        inside.append(trace.get_current_span().name)
        return [0.9]

    async def apredict(data):
        return predict(data)

    if kind == "function":
        monitor.wrap(predict)([ROW])
    elif kind == "coroutine":
        asyncio.run(monitor.wrap(apredict)([ROW]))
    else:
        with monitor.observe([ROW]) as call:
            call.prediction = predict([ROW])
    assert inside == ["predict churn-numeric"]
    assert trace.get_current_span() is request_span
    assert ended() == [("predict churn-numeric", said, request_span.context.span_id)]


def test_an_error_is_on_the_span(numeric, tracing):
    provider, ended = tracing
    with pytest.raises(KeyError):
        Monitor(numeric, spans="own", tracer_provider=provider).wrap(lambda _: {}["absent"])([ROW])
    assert ended() == [("predict churn-numeric", {**MODEL, "error.type": "KeyError"}, None)]


def test_a_stream_s_span_ends_with_it_and_is_never_current_outside(numeric, tracing, request_span):
    provider, ended = tracing
    monitor = Monitor(numeric, spans="own", tracer_provider=provider)

    def pieces(_):
        yield 0.9
        yield 0.1

    for wrapped in (pieces, lambda data: pieces(data)):  # noqa: PLW0108 - a plain function that returns a generator
        before = len(ended())
        stream = monitor.wrap(wrapped)([ROW])
        next(stream)
        assert trace.get_current_span() is request_span
        assert len(ended()) == before
        assert list(stream) == [0.1]
        assert len(ended()) == before + 1


def test_a_stream_of_a_model_without_a_baseline_is_on_its_span(request_span, caplog):
    monitor = Monitor(model="churn", version="3", spans="current")
    assert list(monitor.wrap(lambda rows: iter([0.1 for _ in rows]))([ROW, ROW])) == [0.1, 0.1]
    assert dict(request_span.attributes) == {"ml.model.name": "churn", "ml.model.version": "3"}
    assert not caplog.records


@pytest.mark.parametrize("kind", ["generator", "returned generator", "async generator", "returned coroutine"])
def test_what_makes_the_pieces_of_a_stream_is_inside_its_span(numeric, tracing, request_span, kind):
    seen = []

    def pieces(_):
        for score in (0.9, 0.1):
            seen.append(trace.get_current_span().name)
            yield score

    async def apieces(data):
        for score in pieces(data):
            yield score

    async def later(data):
        await asyncio.sleep(0)
        return list(pieces(data))

    plain = {"returned generator": pieces, "returned coroutine": later}.get(kind)
    predict = {"generator": pieces, "async generator": apieces}.get(kind, lambda data: plain(data))  # noqa: PLW0108 - a plain function
    answer = Monitor(numeric, spans="own", tracer_provider=tracing[0]).wrap(predict)([ROW])

    async def consumed():
        if kind == "returned coroutine":
            return await answer
        found = []
        async for piece in answer:
            assert trace.get_current_span() is request_span
            found.append(piece)
        return found

    assert (list(answer) if kind.endswith("generator") and not kind.startswith("async") else asyncio.run(consumed())) == [0.9, 0.1]
    assert seen == ["predict churn-numeric"] * 2
    assert trace.get_current_span() is request_span


@pytest.mark.parametrize(
    ("options", "problem"), [({"spans": "all"}, "give one of current, own"), ({"spans": "current", "role": "shadow"}, "give 'own'")]
)
def test_other_modes_stop_the_start(numeric, options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        Monitor(numeric, **options)


@pytest.mark.parametrize("at", ["on_start", "on_end"])
def test_a_span_processor_that_fails_does_not_stop_the_prediction(numeric, tracing, at):
    class Faulty(SpanProcessor):
        pass

    setattr(Faulty, at, lambda *_, **__: 1 / 0)
    provider, _ = tracing
    provider.add_span_processor(Faulty())
    monitor = Monitor(numeric, spans="own", tracer_provider=provider)
    assert monitor.wrap(lambda _: [0.9])([ROW]) == [0.9]
    assert testing.collect(monitor).errors == {"ZeroDivisionError": 1}
