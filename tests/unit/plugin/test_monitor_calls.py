"""The monitored function stays the function it was: signature, result, exceptions; sync, async, method or object."""

import asyncio
import copy
import functools
import inspect
import pickle

import pytest
from joblib import Parallel, delayed
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import otel_ml
from otel_ml import Baseline, ConfigurationError, Monitor, testing

ROW = {"age": 40.0, "visits": 1}


@pytest.fixture
def monitor(numeric):
    return Monitor(numeric)


def rows(monitor):
    return testing.collect(monitor).rows


def test_the_decorated_function_keeps_its_face(numeric):
    def predict(X: list, *, scale: float = 1.0) -> list:
        """Predict."""
        return [scale]

    decorated = otel_ml.monitor(numeric)(predict)
    assert decorated.__name__ == "predict"
    assert decorated.__doc__ == "Predict."
    assert decorated.__wrapped__ is predict
    assert inspect.signature(decorated) == inspect.signature(predict)


def test_the_result_is_the_same_object(monitor):
    answer = object()
    assert monitor.wrap(lambda _: answer)(ROW) is answer


class OddError(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize("error", [ValueError("bad input"), OddError(), KeyboardInterrupt(), SystemExit(3), StopIteration()], ids=repr)
def test_the_exception_is_the_same_object_and_the_rows_are_counted(monitor, error):
    def fails(_):
        raise error

    with pytest.raises(type(error)) as caught:
        monitor.wrap(fails)([ROW, ROW])
    assert caught.value is error
    assert rows(monitor) == 2
    assert testing.collect(monitor).errors == {}


def test_async_functions_stay_async_and_overlap(monitor):
    running = []

    async def together():
        everybody = asyncio.Event()

        @monitor.wrap
        async def predict(X):
            running.append(X)
            if len(running) == 20:
                everybody.set()
            await everybody.wait()
            return [0.9]

        assert inspect.iscoroutinefunction(predict)
        return await asyncio.gather(*(predict([ROW]) for _ in range(20)))

    assert asyncio.run(together()) == [[0.9]] * 20
    assert (rows(monitor), testing.collect(monitor).predictions["yes"]) == (20, 20)


def test_a_cancelled_call_is_counted_and_stays_cancelled(monitor):
    async def cancelled():
        task = asyncio.ensure_future(monitor.wrap(lambda _: asyncio.sleep(60))([ROW]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert rows(monitor) == 1


class Model:
    def __call__(self, X):
        return [0.1]

    def predict(self, X):
        return [0.2]

    async def apredict(self, X):
        return [0.3]


def positional(X, y=None):
    return [0.4]


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (positional, lambda f: f([ROW])),
        (positional, lambda f: f(X=[ROW])),
        (positional, lambda f: f(y=3, X=[ROW])),
        (lambda X: [0.5], lambda f: f([ROW])),
        (lambda *X: [0.5], lambda f: f([ROW])),
        (lambda *, X: [0.5], lambda f: f(X=[ROW])),
        (lambda *args, **kwargs: [0.5], lambda f: f(X=[ROW])),
        (Model(), lambda f: f([ROW])),
        (Model().predict, lambda f: f([ROW])),
        (Model().apredict, lambda f: asyncio.run(f([ROW]))),
        (functools.partial(positional, y=2), lambda f: f([ROW])),
        (functools.partial(Model().apredict), lambda f: asyncio.run(f([ROW]))),
        (sorted, lambda f: f([ROW])),
    ],
    ids=[
        "plain",
        "keyword",
        "reordered",
        "lambda",
        "star",
        "keyword-only",
        "star and keyword",
        "object",
        "method",
        "async method",
        "partial",
        "async partial",
        "builtin",
    ],
)
def test_every_kind_of_callable_is_read_by_its_first_argument(monitor, function, call):
    assert call(monitor.wrap(function)) is not None
    assert rows(monitor) == 1


def test_self_and_cls_are_passed_over(monitor):
    class Service:
        @monitor.wrap
        def method(self, X):
            return self, X

        @classmethod
        @monitor.wrap
        def inner_class(cls, X):
            return cls, X

        @monitor.wrap
        @classmethod
        def outer_class(cls, X):
            return cls, X

        @staticmethod
        @monitor.wrap
        def inner_static(X):
            return X

        @monitor.wrap
        @staticmethod
        def outer_static(X):
            return X

    service = Service()
    assert service.method([ROW]) == (service, [ROW])
    assert service.inner_class([ROW]) == service.outer_class(X=[ROW]) == Service.outer_class([ROW]) == (Service, [ROW])
    assert service.inner_static([ROW]) == service.outer_static([ROW]) == Service.outer_static([ROW]) == [ROW]
    assert rows(monitor) == 7


def test_the_object_of_a_method_is_passed_over_by_whatever_name(monitor):
    class Service:
        @monitor.wrap
        def method(_, X):  # noqa: N805
            return [0.5]

        @classmethod
        @monitor.wrap
        def of_class(kind, X):  # noqa: N804
            return [0.5]

        @staticmethod
        @monitor.wrap
        def static(X, y=None):
            return [0.5]

    class Child(Service):
        def method(this, X):  # noqa: N805
            return super().method(X)

    Service().method([ROW])
    Child().method(X=[ROW])
    Service().of_class([ROW])
    Child.of_class([ROW])
    Service.static([ROW], 1)
    found = testing.collect(monitor)
    assert (found.rows, found.dropped["unsupported"], found.errors) == (5, 0, {})


def test_observe_counts_what_a_with_block_shows(monitor):
    with monitor.observe([ROW, ROW]) as call:
        call.prediction = [0.1, 0.9]
    with monitor.observe([ROW]):
        pass
    found = testing.collect(monitor)
    assert (found.rows, found.predictions["no"], found.predictions["yes"]) == (3, 1, 1)


def test_monitors_of_one_version_count_together_and_each_knows_its_own(numeric):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    first, second = (Monitor(numeric, meter_provider=provider) for _ in range(2))
    for monitor, calls in ((first, 3), (second, 4)):
        for _ in range(calls):
            monitor.wrap(lambda _: None)([ROW])
    assert (rows(first), rows(second)) == (3, 4)
    metrics = {m.name: m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics}
    assert [point.value for point in metrics["ml.inference.rows"].data.data_points] == [7]


def test_a_monitored_function_goes_to_other_processes_and_a_copied_service_shares_its_monitor(monitor):
    class Service:
        def __init__(self):
            self.predict = monitor.wrap(lambda data: [0.9 for _ in data])

    service = copy.deepcopy(Service())
    assert Parallel(n_jobs=2)(delayed(service.predict)([ROW]) for _ in range(2)) == [[0.9], [0.9]]
    service.predict([ROW])
    assert rows(monitor) == 1


def test_a_monitor_is_made_again_of_its_options_with_the_global_providers(numeric, tmp_path):
    numeric.save(tmp_path / "baseline.json")
    monitor = Monitor(tmp_path / "baseline.json", events=0.5, meter_provider=MeterProvider([]))
    (tmp_path / "baseline.json").unlink()
    again = pickle.loads(pickle.dumps(monitor))
    assert again.baseline == numeric
    assert again.__reduce__()[0].keywords["events"] == 0.5


def test_a_second_baseline_for_one_version_is_refused_with_the_mend(numeric):
    other = Baseline.from_data({"age": [1.0, 2.0]}, model=numeric.model, version=numeric.version)
    kept = Monitor(numeric)
    with pytest.raises(
        ConfigurationError, match=r"'churn-numeric' version '3': is watched with another baseline.*give the second another version="
    ):
        Monitor(other)
    assert rows(kept) == 0


def test_a_baseline_may_be_replaced_once_nobody_uses_it():
    def baseline(values):
        return Baseline.from_data({"x": values}, model="replaced", version="1")

    Monitor(baseline([1.0, 2.0])).wrap(lambda _: None)([{"x": 1}])
    assert rows(Monitor(baseline([3.0, 4.0]))) == 0


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({}, ["model", "version"]),
        ({"model": "m"}, ["version"]),
        ({"model": "", "version": ""}, ["model", "version"]),
        ({"model": "m", "version": "1", "events": 1.5}, ["events", "events"]),
        ({"model": "m", "version": "1", "events": True}, ["events"]),
    ],
)
def test_options_that_name_no_model_are_refused_all_at_once(options, places):
    with pytest.raises(ConfigurationError) as caught:
        Monitor(**options)
    assert [fault.place for fault in caught.value.faults] == places


def test_options_must_agree_with_the_baseline(numeric):
    with pytest.raises(ConfigurationError, match="is '4' but the baseline is of '3'"):
        Monitor(numeric, version="4")
    assert Monitor(numeric, model="churn-numeric", version=3).version == "3"
    assert Monitor(model="zero", version=0).version == "0"


def test_options_of_wrong_types_are_refused_all_at_once_with_the_mend(numeric):
    with pytest.raises(ConfigurationError) as caught:
        Monitor(5, version=["3"], events="yes", inputs=[], output="score", invalid="missing", segment=5, segments="eu", meter_provider="x")
    places = {fault.place for fault in caught.value.faults}
    assert places == {"baseline", "version", "events", "inputs", "output", "invalid", "segment", "segments", "meter_provider"}
    with pytest.raises(ConfigurationError, match=r"model\.predict_proba"):
        Monitor(numeric).wrap(3)
    for limit in (60, "0.6", True, float("nan")):
        with pytest.raises(ConfigurationError, match=rf"abstain\.confidence_below: is {limit!r}"):
            Monitor(numeric, abstain=otel_ml.Abstain(confidence_below=limit), fallback=0)
    with pytest.raises(ConfigurationError, match=r"give otel_ml\.Abstain\(\.\.\.\)"):
        Monitor(numeric, abstain=otel_ml.Abstain)


def test_what_a_decorated_function_counted_can_be_read_back(numeric):
    predict = otel_ml.monitor(numeric)(positional)
    predict([ROW])
    assert testing.collect(predict).rows == 1
    with pytest.raises(ConfigurationError, match="give a Monitor, or a function that one monitors"):
        testing.collect(positional)


def test_a_decorator_without_arguments_is_refused_with_the_mend():
    with pytest.raises(ConfigurationError, match=r'write @otel_ml.monitor\("baseline.json"\)'):
        otel_ml.monitor(lambda X: X)


def test_a_disabled_sdk_leaves_the_function_alone(monkeypatch, numeric):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monitor = Monitor(numeric)
    assert monitor.wrap(positional) is positional
    with monitor.observe([ROW]) as call:
        call.prediction = [0.1]
    assert rows(monitor) == 0


def test_a_baseline_is_given_as_a_path_too(numeric, tmp_path):
    numeric.save(tmp_path / "b.json")
    assert otel_ml.monitor(str(tmp_path / "b.json"))(lambda X: X)([ROW]) == [ROW]
    assert Monitor(tmp_path / "b.json").baseline == numeric
