"""The outermost call of a model counts, once, whoever counts it; models inside one another that are decorated all count."""

import asyncio
import threading
from collections import Counter

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from otel_ml import Monitor
from otel_ml.instrumentation.sklearn import SklearnInstrumentor

X = np.array([[0.0], [1.0], [2.0], [3.0]])


class Watched:
    """scikit-learn under watch, beside monitors that report to the same SDK."""

    def __init__(self):
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def monitor(self, model, version="1"):
        return Monitor(model=model, version=version, meter_provider=self.provider)

    @property
    def calls(self):
        """Calls so far, by model."""
        metrics = [m for r in self.reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
        points = [point for m in metrics if m.name == "ml.inference.duration" for point in m.data.data_points]
        found: Counter[str] = Counter()
        for point in points:
            found[point.attributes["ml.model.name"]] += point.count
        return dict(found)


@pytest.fixture
def watched():
    found = Watched()
    instrumentor = SklearnInstrumentor()
    instrumentor.instrument(meter_provider=found.provider)
    yield found
    instrumentor.uninstrument()


@pytest.fixture(scope="module")
def model():
    return LogisticRegression().fit(X, [0, 0, 1, 1])


async def ask_async(monitor, model):
    @monitor.wrap
    async def predict(rows):
        await asyncio.sleep(0)
        return await asyncio.to_thread(model.predict, rows)

    await predict(X)


def stream(monitor, model):
    @monitor.wrap
    def predict(rows):
        for row in rows:
            yield model.predict([row])

    return predict(X)


def handed_on(monitor, model):
    return monitor.wrap(lambda rows: (model.predict([row]) for row in rows))(X)


async def stream_async(monitor, model):
    @monitor.wrap
    async def predict(rows):
        for row in rows:
            yield model.predict([row])

    return [piece async for piece in predict(X)]


def observed(monitor, model):
    with monitor.observe(X) as call:
        call.prediction = model.predict(X)


KINDS = {
    "function": lambda monitor, model: monitor.wrap(lambda rows: model.predict(rows) > 0)(X),
    "method": lambda monitor, model: monitor.wrap(model.predict)(X),
    "context": observed,
    "coroutine": lambda monitor, model: asyncio.run(ask_async(monitor, model)),
    "generator": lambda monitor, model: list(stream(monitor, model)),
    "returned generator": lambda monitor, model: list(handed_on(monitor, model)),
    "async generator": lambda monitor, model: asyncio.run(stream_async(monitor, model)),
}


@pytest.mark.parametrize("call", KINDS.values(), ids=KINDS)
def test_an_instrumented_model_inside_a_decorated_call_is_part_of_it(watched, model, call):
    call(watched.monitor("churn"), model)
    assert watched.calls == {"churn": 1}
    model.predict(X)
    assert watched.calls == {"churn": 1, "LogisticRegression": 1}


@pytest.mark.parametrize("start", [stream, handed_on])
def test_what_runs_between_the_pieces_of_a_stream_is_not_inside(watched, model, start):
    for _ in start(watched.monitor("churn"), model):
        model.predict(X)
    assert watched.calls == {"churn": 1, "LogisticRegression": 4}


def test_an_error_leaves_the_call_too(watched, model):
    def fail(_):
        raise KeyError

    with pytest.raises(KeyError):
        watched.monitor("churn").wrap(fail)(X)
    model.predict(X)
    assert watched.calls == {"churn": 1, "LogisticRegression": 1}


def test_other_tasks_and_those_that_outlive_the_call_that_started_them_are_not_inside(watched, model):
    async def serve():
        inside, over = asyncio.Event(), asyncio.Event()

        @watched.monitor("churn").wrap
        async def predict(_):
            inside.set()
            tasks.append(asyncio.create_task(later()))
            await asyncio.sleep(0)
            await asyncio.gather(other)

        async def elsewhere():
            await inside.wait()
            model.predict(X)

        async def later():
            await over.wait()
            model.predict(X)

        tasks = []
        other = asyncio.create_task(elsewhere())
        await predict(X)
        over.set()
        await asyncio.gather(*tasks)

    asyncio.run(serve())
    assert watched.calls == {"churn": 1, "LogisticRegression": 2}


def test_a_coroutine_may_be_closed_in_another_context_than_it_began_in(watched):
    @watched.monitor("churn").wrap
    async def predict(_):
        await asyncio.sleep(0)

    answer = predict(X)
    thread = threading.Thread(target=answer.send, args=(None,))
    thread.start()
    thread.join()
    answer.close()
    assert watched.calls == {"churn": 1}


def test_members_of_an_ensemble_that_are_decorated_count_beside_it(watched, model):
    members = [watched.monitor(name).wrap(model.predict) for name in ("left", "right")]
    watched.monitor("ensemble").wrap(lambda rows: [member(rows) for member in members])(X)
    assert watched.calls == {"ensemble": 1, "left": 1, "right": 1}


def test_a_call_of_a_model_inside_one_of_the_same_is_part_of_it(watched):
    monitor = watched.monitor("churn")
    inner = monitor.wrap(lambda rows: [0.5] * len(rows))
    streamed = watched.monitor("churn").wrap(lambda rows: iter([0.5] * len(rows)))
    assert monitor.wrap(lambda rows: [inner(rows), list(streamed(rows))])(X) == [[0.5] * 4, [0.5] * 4]
    assert watched.calls == {"churn": 1}
    watched.monitor("churn", "2").wrap(inner)(X)
    assert watched.calls == {"churn": 3}


def test_a_decorated_method_of_an_instrumented_class_is_counted_by_its_decorator(watched):
    class Known(ClassifierMixin, BaseEstimator):
        @watched.monitor("churn").wrap
        def predict(self, rows):
            return np.zeros(len(rows))

    late = SklearnInstrumentor()
    late.uninstrument()
    late.instrument(meter_provider=watched.provider)
    Known().predict(X)
    assert watched.calls == {"churn": 1}
