"""Whatever a model is given, its prediction goes out: a fault is counted, logged once, and raised only in strict mode."""

import copy
import dataclasses
import gc
import logging
import signal
import tracemalloc
import warnings
from contextvars import Context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk._logs import LoggerProvider

from otel_ml import Abstain, Baseline, Monitor, testing


class Hostile:
    """Raises whatever is asked of it."""

    def _raise(self, *_, **__):
        raise RuntimeError("hostile")

    __len__ = __array__ = __str__ = __repr__ = __float__ = __eq__ = __ne__ = __hash__ = __bool__ = __iter__ = _raise


class Masked:
    """Lies about its class, and raises for every attribute."""

    @property
    def __class__(self):
        raise RuntimeError("hostile")

    def __getattr__(self, _):
        raise RuntimeError("hostile")


class Hungry:
    """Takes more memory than there is."""

    def __array__(self, *_, **__):
        raise MemoryError


endless = []
endless.append(endless)
nested = []
for _ in range(10_000):
    nested = [nested]

UNREADABLE = {
    "hungry": Hungry(),
    "masked rows": [Masked(), Masked()],
    "contains itself": endless,
    "deeply nested": nested,
    "hostile": Hostile(),
    "none": None,
    "text": "40,1",
    "bytes": b"40,1",
    "number": 3,
    "set": {1, 2},
    "generator": (value for value in [1]),
    "scalar array": np.array(3.0),
    "three dimensions": np.ones((5, 2, 2)),
    "too wide": np.ones((5, 3)),
    "too narrow": [[1.0], [2.0]],
    "ragged": [[1.0, 2.0], [3.0]],
    "mixed": [{"age": 1, "visits": 2}, 3],
    "columns of two lengths": {"age": [1, 2], "visits": [1]},
    "hostile rows": [Hostile(), Hostile(), Hostile()],
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_an_input_that_cannot_be_read_is_dropped_and_the_prediction_counts(numeric, data, counted):
    found = counted(numeric, data, [0.9])
    assert found.rows == 0
    assert sum(found.dropped.values()) >= 1
    assert sum(found.errors.values()) == 1
    assert found.predictions["yes"] == 1


def test_as_many_rows_are_dropped_as_were_given(numeric, counted):
    assert counted(numeric, np.ones((5, 3))).dropped == {"error": 0, "unsupported": 5}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_strict_mode_raises_the_fault(monkeypatch, numeric, data):
    monkeypatch.setenv("OTEL_ML_STRICT", "1")
    with pytest.raises((TypeError, RuntimeError, ValueError, IndexError, MemoryError)):
        Monitor(numeric).wrap(lambda _: None)(data)


def test_strict_mode_raises_in_the_call_that_cannot_be_counted(monkeypatch, numeric):
    monkeypatch.setenv("OTEL_ML_STRICT", "1")
    predict = Monitor(numeric).wrap(lambda _: np.ones((1, 7)))
    with pytest.raises(ValueError, match="7 probabilities for 2 classes"):
        predict([{"age": 1, "visits": 2}])


VALUES = [
    10**5_000,
    -(10**400),
    1j,
    "40",
    b"40",
    [1, 2],
    {},
    np.ones(3),
    object(),
    float("inf"),
    np.float16(3),
    np.datetime64("NaT", "s"),
    Hostile(),
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_strange_number_still_counts_as_a_row(numeric, value, counted):
    found = counted(numeric, [{"age": value, "visits": 1}, {"age": 40.0, "visits": 1}])
    assert (found.rows, found.errors) == (2, {})
    assert {sum(bins.values()) for bins in found.features.values()} == {2}


@pytest.mark.parametrize(
    "value", ["x" * 10_000_000, b"\xff\xfe", ("a", 1), [1, 2], {"a": 1}, np.ones(3), 10**200, "\ud800", 1j], ids=range(9)
)
def test_a_strange_category_still_counts_as_a_row(baseline, value, counted):
    found = counted(baseline, [{"age": 40.0, "visits": 1, "plan": value, "active": True}])
    assert (found.rows, found.errors, found.features["plan"]["__other__"]) == (1, {}, 1)


def test_a_value_that_cannot_be_read_is_an_unknown_one(baseline):
    monitor = Monitor(baseline)
    row = {"age": 40.0, "visits": 1, "plan": "pro", "active": True}
    monitor.wrap(lambda _: None)([row | {"plan": plan} for plan in ("pro", Hostile(), 10**5000)])
    found = testing.collect(monitor)
    assert (found.rows, found.errors) == (3, {})
    assert (found.features["plan"]["pro"], found.features["plan"]["__other__"]) == (1, 2)


def test_a_prediction_that_cannot_be_counted_does_not_take_others_with_it(numeric):
    monitor = Monitor(numeric)
    for answer in ([[0.1, 0.9]], [[0.1, 0.2, 0.7]], [[0.1, 0.9]]):
        monitor.wrap(lambda _, answer=answer: answer)([{"age": 40.0, "visits": 1}])
    found = testing.collect(monitor)
    assert (found.rows, found.predictions["yes"], found.dropped["error"], found.errors) == (3, 2, 1, {"ValueError": 1})


LARGE = "x" * 1_000_000


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"age": 40.0, "visits": 1}, LARGE),
        ({"age": 40.0, "visits": 1}, [LARGE]),
        ({"age": 40.0, "visits": 1}, np.zeros((1, 250_000))),
        ({"age": 40.0, "visits": LARGE}, 0.5),
        ({"age": 40.0, "visits": bytearray(1_000_000)}, 0.5),
    ],
    ids=["text answer", "text answers", "image answer", "text value", "object value"],
)
def test_large_values_do_not_pile_up_until_they_are_counted(numeric, row, answer):
    predict = Monitor(numeric).wrap(lambda _: copy.copy(answer))
    tracemalloc.start()
    try:
        for _ in range(40):
            predict(copy.deepcopy(row))
        assert tracemalloc.get_traced_memory()[0] < 10_000_000
    finally:
        tracemalloc.stop()


def test_without_a_baseline_no_answer_is_kept():
    predict = Monitor(model="segmentation", version="1").wrap(lambda _: np.zeros(250_000))
    tracemalloc.start()
    try:
        for _ in range(40):
            predict([[1.0]])
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_prediction_that_cannot_be_copied_does_not_take_its_input_with_it(numeric, counted):
    found = counted(numeric, [{"age": 40.0, "visits": 1}], Hostile())
    assert (found.rows, found.dropped["error"], found.errors) == (1, 1, {"RuntimeError": 1})


def test_a_kind_of_fault_is_logged_once_with_the_way_to_see_it(numeric, caplog):
    predict = Monitor(numeric).wrap(lambda _: None)
    with caplog.at_level(logging.WARNING, "otel_ml"):
        for _ in range(5):
            predict("text")
        predict(Hostile())
    first, second = (record.getMessage() for record in caplog.records)
    assert "OTEL_ML_STRICT=1" in first
    assert "churn-numeric" in first
    assert "RuntimeError: hostile" in second


def test_kinds_of_fault_are_limited(numeric):
    monitor = Monitor(numeric)

    def hostile(number):
        error = type(f"Error{number}", (Exception,), {"__module__": "builtins"})

        class Data:
            @property
            def __array__(self):
                raise error

        return Data()

    for number in range(80):
        monitor.wrap(lambda _: None)(hostile(number))
    errors = testing.collect(monitor).errors
    assert len(errors) == 51
    assert errors["_OTHER"] == 30


def test_no_warning_of_numpy_leaves_the_plugin(numeric, counted):
    extreme = np.array([[1e308, -1e308], [np.inf, np.nan], [5e-324, 3e38]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("f8", "f4", "g"):
            with np.errstate(over="ignore"):
                data = extreme.astype(kind)
            assert counted(numeric, data, np.array([np.nan, np.inf, -np.inf])).errors == {}
        baseline = Baseline.from_data(extreme, model="extreme", version="1", predictions=[1e300, -1e300, 1.0], labels=[1, 2, 3])
        assert counted(baseline, extreme, [1e308, np.nan, np.inf]).errors == {}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_a_signal_handler_may_predict_in_the_middle_of_a_prediction(numeric):
    monitor = Monitor(numeric)
    predict = monitor.wrap(lambda _: [0.9])
    interrupted = 0

    def handler(*_):
        nonlocal interrupted
        interrupted += 1
        Context().run(predict, [{"age": 1.0, "visits": 1}])
        testing.collect(monitor)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    try:
        for _ in range(20_000):
            predict([{"age": 1.0, "visits": 1}])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted
    assert testing.collect(monitor).rows == 20_000 + interrupted


def test_a_finaliser_may_predict_in_the_middle_of_a_prediction(numeric):
    monitor = Monitor(numeric)
    predict = monitor.wrap(lambda _: [0.9])
    finalised = 0

    class Dying:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            nonlocal finalised
            finalised += 1
            Context().run(predict, [{"age": 1.0, "visits": 1}])

    threshold = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for _ in range(2_000):
            Dying()
            predict([{"age": 1.0, "visits": 1}])
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert testing.collect(monitor).rows == 2_000 + finalised == 4_000


@pytest.mark.parametrize("prediction", [[Masked()], Hungry(), endless, nested, {"a": Masked()}, "x" * 10_000_000], ids=range(6))
def test_a_hostile_prediction_goes_out_and_its_input_counts(numeric, prediction):
    monitor = Monitor(numeric, events=True, abstain=Abstain(confidence_below=0.8), spans="current")
    assert monitor.wrap(lambda _: prediction)([{"age": 40.0, "visits": 1}]) is prediction
    assert testing.collect(monitor).rows == 1


def test_a_million_categories_are_counted_as_other(baseline):
    monitor = Monitor(baseline)
    names = [f"plan {number}" for number in range(1_000_000)]
    monitor.wrap(lambda _: None)({"age": np.ones(1_000_000), "visits": np.ones(1_000_000), "plan": names, "active": np.ones(1_000_000)})
    found = testing.collect(monitor)
    assert (found.rows, found.features["plan"]["__other__"]) == (1_000_000, 1_000_000)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_never_held_back(numeric, error):
    class Interrupted:
        def __array__(self, *_, **__):
            raise error

    with pytest.raises(error):
        Monitor(numeric).wrap(lambda _: 0.1)(Interrupted())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5) | st.builds(Hostile),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.sampled_from(["age", "visits", "x"]), inner),
    max_leaves=12,
)


@settings(max_examples=50)
@given(ANYTHING, ANYTHING)
def test_whatever_goes_in_and_out_passes_unchanged(numeric, data, prediction):
    monitor = Monitor(
        dataclasses.replace(numeric, model="anything"),
        events=True,
        event_features=True,
        segment="x",
        segments=["a"],
        abstain=lambda _: [False],
        logger_provider=LoggerProvider(),
    )
    assert monitor.wrap(lambda _: prediction)(data) is prediction
    testing.collect(monitor)


def test_what_lies_about_its_class_passes_both_ways(numeric):
    masked = Masked()
    monitor = Monitor(numeric)
    assert monitor.wrap(lambda _: masked)(masked) is masked
    assert testing.collect(monitor).errors == {"RuntimeError": 2}
