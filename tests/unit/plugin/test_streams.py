"""Answers that come piece by piece are handed on as they come, and timed to their end."""

import asyncio
import dataclasses
import gc
import inspect
import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import scipy.sparse
from opentelemetry.sdk._logs import LoggerProvider, export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, use_span
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from otel_ml import Abstain, Monitor, testing
from otel_ml._arrays import DENSE

InMemoryExporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter
ROW = {"age": 40.0, "visits": 1}


def served(endpoint):
    """The answer of a web server to one request."""

    async def ask():
        app = httpx.ASGITransport(Starlette(routes=[Route("/", endpoint)]))
        async with httpx.AsyncClient(transport=app, base_url="http://test") as client:
            return await client.get("/")

    return asyncio.run(ask())


class Watched:
    """A monitor and the durations that it reported: by `error.type`, None for those without."""

    def __init__(self, baseline):
        self.reader = InMemoryMetricReader()
        self.monitor = Monitor(baseline, meter_provider=MeterProvider([self.reader]))

    @property
    def durations(self):
        metrics = [m for r in self.reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
        points = [point for m in metrics if m.name == "ml.inference.duration" for point in m.data.data_points]
        return {point.attributes.get("error.type"): point.count for point in points}

    @property
    def counted(self):
        found = testing.collect(self.monitor)
        assert found.errors == {}
        return found.rows, found.predictions["no"], found.predictions["yes"]


@pytest.fixture
def watched(numeric):
    return Watched(numeric)


def conversation(_):
    """A generator that uses its whole protocol."""
    try:
        heard = yield 0.1
        try:
            yield heard
        except KeyError:
            yield 0.9
    finally:
        conversation.closed = True
    return "done"


def test_a_generator_function_stays_one_and_its_pieces_are_predictions(watched):
    predict = watched.monitor.wrap(conversation)
    assert inspect.isgeneratorfunction(predict)
    stream = predict([ROW])
    assert watched.durations == {}
    assert next(stream) == 0.1
    assert stream.send(0.2) == 0.2
    assert stream.throw(KeyError()) == 0.9
    assert watched.durations == {}
    with pytest.raises(StopIteration) as end:
        next(stream)
    assert end.value.value == "done"
    assert watched.durations == {None: 1}
    assert watched.counted == (1, 2, 1)


def test_what_a_plain_function_returns_is_watched_the_same_way(watched):
    answers = iter([(value for value in [0.1, 0.9]), map(float, [0.1]), itertools.repeat(0.9, 2), iter([0.1])])
    predict = watched.monitor.wrap(lambda _: next(answers))
    assert [list(predict([ROW])) for _ in range(4)] == [[0.1, 0.9], [0.1], [0.9, 0.9], [0.1]]
    assert watched.durations == {None: 4}
    assert watched.counted == (4, 3, 3)


def test_closing_early_closes_the_generator_and_is_no_error(watched):
    conversation.closed = False
    stream = watched.monitor.wrap(conversation)([ROW])
    next(stream)
    stream.close()
    assert conversation.closed
    assert watched.durations == {None: 1}


@pytest.mark.parametrize("pieces", [0, 1])
def test_an_abandoned_stream_is_recorded_once_when_it_vanishes(watched, pieces):
    conversation.closed = False
    stream = watched.monitor.wrap(lambda data: conversation(data))([ROW])  # noqa: PLW0108 - a plain function that returns a generator
    for _ in range(pieces):
        next(stream)
    assert watched.durations == {}
    del stream
    gc.collect()
    assert conversation.closed is bool(pieces)
    assert watched.durations == {None: 1}
    assert watched.counted == (1, pieces, 0)


@pytest.mark.parametrize(
    ("error", "counted"), [(ValueError("bad"), "ValueError"), (KeyboardInterrupt(), None), (asyncio.CancelledError(), None)], ids=repr
)
def test_an_error_inside_reaches_the_consumer_and_is_counted_but_an_interruption_is_no_error(watched, error, counted):
    @watched.monitor.wrap
    def predict(_):
        yield 0.1
        raise error

    stream = predict([ROW])
    next(stream)
    with pytest.raises(type(error)) as caught:
        next(stream)
    assert caught.value is error
    assert watched.durations == {counted: 1}


async def aconversation(_):
    try:
        heard = yield 0.1
        try:
            yield heard
        except KeyError:
            yield 0.9
    finally:
        aconversation.closed = True


@pytest.mark.parametrize("wrapped", [aconversation, lambda data: aconversation(data)], ids=["function", "object"])  # noqa: PLW0108
def test_async_generators_keep_their_protocol(watched, wrapped):
    predict = watched.monitor.wrap(wrapped)
    assert inspect.isasyncgenfunction(predict) is inspect.isasyncgenfunction(wrapped)

    async def consume():
        stream = predict([ROW])
        heard = [await anext(stream), await stream.asend(0.2), await stream.athrow(KeyError())]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        return heard

    assert asyncio.run(consume()) == [0.1, 0.2, 0.9]
    assert watched.durations == {None: 1}
    assert watched.counted == (1, 2, 1)


@pytest.mark.parametrize("how", ["closed", "abandoned", "cancelled"])
def test_an_async_generator_left_early_is_closed_and_recorded(watched, how):
    aconversation.closed = False

    async def consume():
        stream = watched.monitor.wrap(aconversation)([ROW])
        await anext(stream)
        if how == "closed":
            await stream.aclose()
        if how == "cancelled":
            with pytest.raises(asyncio.CancelledError):
                await stream.athrow(asyncio.CancelledError())
        del stream
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(consume())
    assert aconversation.closed
    assert watched.durations == {None: 1}


def test_a_coroutine_may_return_a_stream(watched):
    @watched.monitor.wrap
    async def predict(data):
        return aconversation(data)

    async def consume():
        return [piece async for piece in await predict([ROW])]

    assert asyncio.run(consume()) == [0.1, None]
    assert watched.durations == {None: 1}


async def later(_):
    await asyncio.sleep(0)
    return [0.9]


async def too_late(_):
    await asyncio.sleep(0)
    raise ValueError("bad")


@pytest.mark.parametrize(("model", "error", "counted"), [(later, None, (1, 0, 1)), (too_late, "ValueError", (1, 0, 0))])
@pytest.mark.parametrize("form", ["coroutine", "task", "future"])
def test_a_plain_function_may_return_what_is_awaited(watched, form, model, error, counted):
    with ThreadPoolExecutor(1) as pool:

        @watched.monitor.wrap
        def predict(data):
            if form == "future":
                return asyncio.wrap_future(pool.submit(asyncio.run, model(data)))
            return model(data) if form == "coroutine" else asyncio.ensure_future(model(data))

        async def ask():
            assert watched.durations == {}
            return await asyncio.gather(predict([ROW]), return_exceptions=True)

        answer = asyncio.run(ask())
    assert (answer == [[0.9]]) is (error is None)
    assert watched.durations == {error: 1}
    assert watched.counted == counted


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_streaming_response_is_the_same_object_and_timed_to_its_last_chunk(watched, kind):
    seen = []

    async def chunks():
        for part in (b"a", b"b"):
            seen.append(watched.durations)
            yield part

    response = StreamingResponse(chunks() if kind == "async" else iter([b"a", b"b"]))
    predict = watched.monitor.wrap(lambda _: response)

    async def endpoint(_):
        assert predict([ROW]) is response
        seen.append(watched.durations)
        return response

    assert served(endpoint).content == b"ab"
    assert all(found == {} for found in seen)
    assert watched.durations == {None: 1}
    assert watched.counted == (1, 0, 0)


def test_an_error_in_a_streaming_response_is_counted(watched):
    async def chunks():
        yield b"a"
        raise ValueError

    predict = watched.monitor.wrap(lambda _: StreamingResponse(chunks()))

    async def endpoint(_):
        return predict([ROW])

    with pytest.raises(ValueError):
        served(endpoint)
    assert watched.durations == {"ValueError": 1}


def test_other_iterators_are_left_alone(watched, tmp_path):
    (tmp_path / "answer").write_text("0.1\n")
    with (tmp_path / "answer").open() as file:
        assert watched.monitor.wrap(lambda _: file)([ROW]) is file
        assert file.read() == "0.1\n"
    assert watched.durations == {None: 1}
    assert watched.counted == (1, 0, 0)


def test_observe_hands_on_the_stream_that_is_watched(watched):
    with watched.monitor.observe([ROW]) as call:
        call.prediction = conversation([ROW])
    assert watched.durations == {}
    assert list(call.answer) == [0.1, None]
    assert watched.durations == {None: 1}


def one_by_one(rows, ids=None):
    for _ in rows:
        yield 0.9


async def aone_by_one(rows, ids=None):
    for _ in rows:
        yield 0.9


@pytest.mark.parametrize("streaming", [one_by_one, aone_by_one, lambda rows, ids=None: one_by_one(rows)])
@pytest.mark.parametrize(
    ("rows", "ids", "expected"),
    [
        (3, ["a", "b", "c"], ["a", "b", "c"]),
        (3, "order", ["order-0", "order-1", "order-2"]),
        (1, "chat", ["chat"]),
        (1, uuid.UUID(int=7), [str(uuid.UUID(int=7))]),
    ],
)
def test_the_pieces_are_of_the_rows_one_after_the_other(numeric, streaming, rows, ids, expected):
    """Each has the id, the features, the segment of its row, and is withheld for its row alone."""
    exporter, provider = InMemoryExporter(), LoggerProvider()
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    given = [{"age": 40.0, "visits": 1, "country": "de"}, {"age": 9e9, "visits": 1, "country": "ch"}, {"age": 41.0, "visits": 2}][:rows]
    monitor = Monitor(
        dataclasses.replace(numeric, version="row by row"),
        events=True,
        event_features=["age"],
        prediction_ids="ids",
        logger_provider=provider,
        segment="country",
        segments=["ch", "de"],
        abstain=Abstain(outlier_above=100.0),
        fallback="ask",
    )

    async def listed(stream):
        return [piece async for piece in stream]

    stream = monitor.wrap(streaming)(given, ids=ids)
    assert (asyncio.run(listed(stream)) if streaming is aone_by_one else list(stream)) == [0.9, "ask", 0.9][:rows]
    sent = [log.log_record.attributes for log in exporter.get_finished_logs()]
    assert [event["ml.prediction.id"] for event in sent] == expected
    assert [event["ml.prediction.features"]["age"] for event in sent] == [40.0, 9e9, 41.0][:rows]
    assert [event["ml.segment"] for event in sent] == ["de", "ch", "__other__"][:rows]
    assert ["ml.prediction.abstained" in event for event in sent] == [False, True, False][:rows]
    found = testing.collect(monitor)
    assert (found.rows, found.predictions["yes"], found.errors) == (rows, rows, {})
    assert found.segments == {"ch": rows // 2, "de": 1, "__other__": rows // 2}


def test_pieces_beyond_the_input_are_of_its_last_row_and_have_ids_of_their_own(numeric):
    exporter, provider = InMemoryExporter(), LoggerProvider()
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    tracer = TracerProvider().get_tracer("test")
    monitor = Monitor(numeric, events=True, event_features=["age"], prediction_ids="trace", logger_provider=provider)
    with tracer.start_as_current_span("chat") as span:
        assert list(monitor.wrap(lambda _: iter([[0.1, 0.9], None, [0.8, 0.2]]))([ROW])) == [[0.1, 0.9], None, [0.8, 0.2]]
    sent = [log.log_record.attributes for log in exporter.get_finished_logs()]
    context = span.get_span_context()
    of_trace = f"{context.trace_id:032x}-{context.span_id:016x}"
    assert [(event["ml.prediction.id"], event["ml.prediction.class"], event["ml.prediction.features"]["age"]) for event in sent] == [
        (of_trace, "yes", 40.0),
        (f"{of_trace}-1", "no", 40.0),
    ]
    assert testing.collect(monitor).errors == {}


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[40.0, 1.0], [9e9, 1.0]]),
        [(40.0, 1), (9e9, 1)],
        {"age": [40.0, 9e9], "visits": np.array([1, 1])},
        scipy.sparse.csr_matrix([[40.0, 1.0], [9e9, 1.0]]),
        scipy.sparse.csr_matrix(([40.0, 9e9], ([0, 1], [0, 0])), shape=(DENSE, 2)),
    ],
    ids=["matrix", "packed", "columns", "sparse", "large and sparse"],
)
def test_each_kind_of_input_gives_its_rows(numeric, rows):
    monitor = Monitor(numeric, abstain=Abstain(outlier_above=100.0), fallback="ask")
    assert list(monitor.wrap(lambda _: iter([0.9, 0.9]))(rows)) == [0.9, "ask"]
    assert testing.collect(monitor).errors == {}


def test_the_input_counts_where_its_segments_do_not_fit(numeric):
    monitor = Monitor(dataclasses.replace(numeric, version="segmented"), segment=lambda _: [], segments=["ch"])
    assert list(monitor.wrap(one_by_one)([ROW, ROW])) == [0.9, 0.9]
    found = testing.collect(monitor)
    assert (found.rows, found.errors) == (2, {"IndexError": 2})


def test_a_piece_that_cannot_be_read_is_handed_on(numeric):
    class Hostile:
        def __array__(self, *_, **__):
            raise RuntimeError

    piece = Hostile()
    monitor = Monitor(numeric)
    assert list(monitor.wrap(lambda _: (one for one in [piece]))([ROW])) == [piece]
    assert testing.collect(monitor).errors == {"RuntimeError": 1}


def test_a_response_whose_iterator_cannot_be_exchanged_is_handed_on(numeric):
    class Fixed:
        @property
        def body_iterator(self):
            return iter([b"a"])

    response = Fixed()
    watched = Watched(numeric)
    assert watched.monitor.wrap(lambda _: response)([ROW]) is response
    gc.collect()
    assert watched.durations == {None: 1}
    assert testing.collect(watched.monitor).errors == {"AttributeError": 1}


def test_a_span_that_fails_does_not_stop_a_stream(numeric):
    class Failing(NonRecordingSpan):
        def get_span_context(self):
            raise RuntimeError("no context")

    monitor = Monitor(numeric, prediction_ids="trace")
    with use_span(Failing(INVALID_SPAN_CONTEXT)):
        assert list(monitor.wrap(lambda _: iter([0.1, 0.9]))(ROW)) == [0.1, 0.9]
    assert set(testing.collect(monitor).errors) == {"RuntimeError"}
