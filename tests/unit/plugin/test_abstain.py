"""A prediction that a policy withholds is replaced for the caller, and counted."""

import asyncio
import re
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from otel_ml import Abstain, Baseline, ConfigurationError, Monitor, testing
from otel_ml.catalogue import PREDICTION_ABSTAINED, PREDICTION_ABSTENTIONS

NEAR, FAR = {"age": 40.0, "visits": 2}, {"age": 4_000.0, "visits": 2}
UNSURE = Abstain(confidence_below=0.8)


ASK = ("ask", 0.0)


def cells(values):
    """An array in which a tuple is one value."""
    made = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        made[place] = value
    return made


def abstentions(monitor):
    return int(monitor._counts.read()[monitor._counts.layout.series[PREDICTION_ABSTENTIONS].start])


@pytest.mark.parametrize(
    ("prediction", "fallback", "answer"),
    [
        (0.6, None, None),
        (0.1, None, 0.1),
        (0.6, "ask a person", "ask a person"),
        ([0.6], -1, [-1]),
        ([0.6, 0.9, 0.1, None], -1, [-1, 0.9, 0.1, -1]),
        ((0.6, 0.9), None, (None, 0.9)),
    ],
    ids=["value", "sure", "text", "one row", "rows", "tuple"],
)
def test_withheld_rows_become_the_fallback(numeric, prediction, fallback, answer):
    monitor = Monitor(numeric, abstain=UNSURE, fallback=fallback)
    rows = [NEAR] * (len(prediction) if isinstance(prediction, list | tuple) else 1)
    assert monitor.wrap(lambda _: prediction)(rows) == answer
    found = testing.collect(monitor)
    assert found.errors == {}
    assert found.rows == len(rows)
    assert sum(found.predictions.values()) == len(rows)


@pytest.mark.parametrize(
    ("prediction", "fallback", "expected"),
    [
        (np.array([0.6, 0.9]), np.nan, np.array([np.nan, 0.9])),
        (np.array([[0.4, 0.6], [0.1, 0.9]]), 0.5, np.array([[0.5, 0.5], [0.1, 0.9]])),
        (np.array([0.6, 0.9]), None, np.array([None, 0.9], dtype=object)),
        (np.array([0.6, 0.9], dtype="f4"), "?", np.array(["?", np.float32(0.9)], dtype=object)),
        (np.array([[0.4, 0.6], [0.1, 0.9]]), ("ask", 0.0), np.array([["ask", 0.0], [0.1, 0.9]], dtype=object)),
        (np.array([0.6, 0.4]), ("ask", 0.0), cells([ASK, ASK])),
        (np.array([[0.6], [0.9]]), ("ask", 0.0), cells([ASK, 0.9]).reshape(2, 1)),
    ],
    ids=["nan", "columns", "none", "text", "row", "tuple", "tuple in one column"],
)
def test_rows_of_an_array_are_replaced_in_a_copy(numeric, prediction, fallback, expected):
    before = prediction.copy()
    answer = Monitor(numeric, abstain=UNSURE, fallback=fallback).wrap(lambda _: prediction)([NEAR, NEAR])
    np.testing.assert_array_equal(answer, expected)
    np.testing.assert_array_equal(prediction, before)


@pytest.mark.parametrize("kind", ["float64", "Float64", "float32", "double[pyarrow]", object])
@pytest.mark.parametrize("fallback", ["ask", -1, ASK, {"label": "ask"}], ids=str)
def test_rows_of_a_series_of_any_type_are_replaced_by_any_fallback(numeric, kind, fallback):
    prediction = pd.Series([0.5, 1.0], index=["a", "b"], dtype=kind)
    monitor = Monitor(numeric, abstain=UNSURE, fallback=fallback)
    answer = monitor.wrap(lambda _: prediction)([NEAR, NEAR])
    assert (answer.to_dict(), abstentions(monitor)) == ({"a": fallback, "b": 1.0}, 1)
    assert testing.collect(monitor).errors == {}


def test_an_answer_without_confidences_goes_out_and_that_it_was_not_judged_is_told(numeric):
    monitor = Monitor(numeric, abstain=UNSURE, fallback="ask")
    prediction = ["yes", "no"]
    assert monitor.wrap(lambda _: prediction)([NEAR, NEAR]) is prediction
    assert testing.collect(monitor).errors == {"ValueError": 1}
    monitor = Monitor(numeric, abstain=Abstain(confidence_below=0.8, outlier_above=1_000), fallback="ask")
    assert monitor.wrap(lambda _: prediction)([NEAR, FAR]) == ["yes", "ask"]


def test_an_answer_without_withheld_rows_is_the_same_object(numeric):
    prediction = [0.1, 0.9]
    assert Monitor(numeric, abstain=UNSURE).wrap(lambda _: prediction)([NEAR, NEAR]) is prediction


@pytest.mark.parametrize("rows", [2, 9_000], ids=["few", "many"])
@pytest.mark.parametrize("form", ["matrix", "rows", "columns"])
def test_rows_far_from_the_baseline_are_withheld(numeric, form, rows):
    farthest = numeric.outliers.histogram.edges[-1]
    monitor = Monitor(numeric, abstain=Abstain(outlier_above=farthest), fallback=-1.0)
    matrix = np.array([[40.0, 2.0], [4_000.0, 2.0]] * (rows // 2))
    data = {"matrix": matrix, "rows": matrix.tolist(), "columns": {"age": matrix[:, 0], "visits": matrix[:, 1]}}[form]
    answer = monitor.wrap(lambda _: np.full(rows, 0.9))(data)
    np.testing.assert_array_equal(answer, [0.9, -1.0] * (rows // 2))
    assert abstentions(monitor) == rows // 2
    assert testing.collect(monitor).rows == rows


def test_a_function_as_fallback_is_given_everything(numeric):
    seen = []

    def fallback(data, prediction, withheld):
        seen.append((data, prediction, withheld.tolist()))
        return "asked"

    data, prediction = [NEAR, NEAR], [0.6, 0.9]
    assert Monitor(numeric, abstain=UNSURE, fallback=fallback).wrap(lambda _: prediction)(data) == "asked"
    assert seen == [(data, prediction, [True, False])]


def test_a_policy_of_the_user_s_own_sees_confidence_and_distance(numeric):
    seen = []
    monitor = Monitor(numeric, abstain=lambda understood: seen.append(understood) or [False, True], fallback=-1)
    assert monitor.wrap(lambda _: [0.1, 0.9])([NEAR, FAR]) == [0.1, -1]
    (understood,) = seen
    np.testing.assert_allclose(understood.confidence, [0.9, 0.9])
    assert understood.outlier[0] < 10
    assert understood.outlier[1] > 1_000


def test_coroutines_abstain_too(numeric):
    async def predict(_):
        return [0.6]

    assert asyncio.run(Monitor(numeric, abstain=UNSURE, fallback=-1).wrap(predict)([NEAR])) == [-1]


def test_a_future_that_is_returned_ends_with_what_the_policy_makes_of_its_result(numeric):
    monitor = Monitor(numeric, abstain=UNSURE, fallback="ask")
    with ThreadPoolExecutor(1) as pool:
        later = monitor.wrap(lambda _: pool.submit(lambda: [0.6]))
        assert later([NEAR]).result() == ["ask"]
        failing_later = monitor.wrap(lambda _: pool.submit(failing))
        with pytest.raises(RuntimeError):
            failing_later([NEAR]).result()

        async def task(predict):
            return await monitor.wrap(predict)([NEAR])

        async def predict():
            return [0.6]

        assert asyncio.run(task(lambda _: asyncio.ensure_future(predict()))) == ["ask"]
        assert asyncio.run(task(lambda _: asyncio.wrap_future(pool.submit(lambda: [0.6])))) == ["ask"]
    assert abstentions(monitor) == 3


def test_who_cancels_a_future_that_may_be_withheld_cancels_that_of_the_model(numeric):
    asked = Future()
    answer = Monitor(numeric, abstain=UNSURE).wrap(lambda _: asked)([NEAR])
    assert answer.cancel()
    assert asked.cancelled()


def test_a_future_of_another_kind_goes_out_and_is_not_counted_as_withheld(numeric):
    class Other:
        def add_done_callback(self, done):
            done(self)

        def result(self):
            return [0.6]

    other = Other()
    monitor = Monitor(numeric, abstain=UNSURE, fallback="ask")
    assert monitor.wrap(lambda _: other)([NEAR]) is other
    assert (abstentions(monitor), testing.collect(monitor).errors) == (0, {"TypeError": 1})


def test_an_event_tells_of_no_row_that_could_not_be_withheld(numeric):
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monitor = Monitor(numeric, abstain=UNSURE, fallback=failing, events=True, logger_provider=provider)
    with monitor.observe([NEAR]) as call:
        call.prediction = [0.6]
    assert (call.answer, call.withheld) == ([0.6], None)
    (event,) = exporter.get_finished_logs()
    assert not event.log_record.attributes.get(PREDICTION_ABSTAINED)


def test_observe_says_which_rows_to_withhold_and_what_to_hand_on(numeric):
    monitor = Monitor(numeric, abstain=UNSURE, fallback=-1)
    with monitor.observe([NEAR, NEAR]) as call:
        call.prediction = [0.6, 0.9]
    assert (call.answer, call.withheld.tolist()) == ([-1, 0.9], [True, False])
    with monitor.observe([NEAR]) as call:
        call.prediction = [0.9]
    assert (call.answer, call.withheld) == ([0.9], None)


def test_pieces_of_a_stream_are_withheld_too(numeric):
    monitor = Monitor(numeric, abstain=UNSURE, fallback=-1)
    assert list(monitor.wrap(lambda _: (score for score in [0.6, 0.9]))([NEAR])) == [-1, 0.9]
    assert abstentions(monitor) == 1


def failing(*_):
    raise RuntimeError


@pytest.mark.parametrize(
    "options",
    [{"abstain": failing}, {"abstain": UNSURE, "fallback": failing}, {"abstain": lambda _: [True, False]}],
    ids=["policy", "fallback", "other number of rows"],
)
def test_where_abstaining_fails_the_prediction_goes_out(numeric, options):
    prediction = [0.6]
    monitor = Monitor(numeric, **options)
    assert monitor.wrap(lambda _: prediction)([NEAR]) is prediction
    assert sum(testing.collect(monitor).errors.values()) == 1
    assert abstentions(monitor) == 0


def test_an_answer_whose_rows_cannot_be_replaced_goes_out(numeric):
    class Answer:
        def __len__(self):
            return 2

        def __array__(self, *_, **__):
            return np.array([0.6, 0.9])

    answer = Answer()
    monitor = Monitor(numeric, abstain=UNSURE, fallback=-1)
    assert monitor.wrap(lambda _: answer)([NEAR, NEAR]) is answer
    assert testing.collect(monitor).errors == {"TypeError": 1}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"abstain": Abstain()}, "abstain: has no limit"),
        ({"abstain": 0.7}, "abstain: is 0.7"),
        ({"fallback": -1}, "fallback: is given without abstain"),
        ({"abstain": UNSURE}, "abstain: needs confidences"),
        ({"abstain": Abstain(outlier_above=3)}, "abstain: needs a baseline that knows outliers"),
    ],
)
def test_options_that_can_never_withhold_stop_the_start(options, problem):
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        Monitor(Baseline.from_data({"age": [1.0, 2.0]}, model="abstain", version="1"), **options)


class Plain:
    """A service whose monitors within one another are of one model."""

    def __init__(self, outer, inner):
        self.predict = outer.wrap(inner.wrap(lambda _: [0.6]))
        self.coroutine = outer.wrap(inner.wrap(self._soon))
        self.awaitable = outer.wrap(inner.wrap(lambda _: self._soon(None)))
        self.stream = outer.wrap(inner.wrap(lambda _: (score for score in [0.6])))

    async def _soon(self, _):
        return [0.6]

    def answers(self):
        asked = [asyncio.run(self._awaited(predict)) for predict in (self.coroutine, self.awaitable)]
        return [self.predict([NEAR]), *asked, list(self.stream([NEAR]))]

    async def _awaited(self, predict):
        return await predict([NEAR])


def test_the_answers_of_a_monitor_inside_another_of_its_model_are_judged_once_and_counted_once(numeric):
    outer, inner = Monitor(numeric), Monitor(numeric, abstain=UNSURE, fallback=-1)
    assert Plain(outer, inner).answers() == [[-1]] * 4
    assert (testing.collect(inner).rows, abstentions(inner), testing.collect(inner).errors) == (0, 0, {})
    judged = []
    inner = Monitor(numeric, abstain=judged.append)
    outer = Monitor(numeric, abstain=UNSURE, fallback=-1)
    assert Plain(outer, inner).answers() == [[-1]] * 4
    assert (judged, abstentions(outer)) == ([], 4)


def test_answers_are_judged_where_telemetry_is_switched_off(numeric, monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monitor = Monitor(numeric, abstain=UNSURE, fallback=-1)
    assert Plain(monitor, Monitor(numeric)).answers() == [[-1]] * 4
    assert monitor.wrap(lambda _: 0.1)(NEAR) == 0.1
    assert (testing.collect(monitor).rows, abstentions(monitor), testing.collect(monitor).errors) == (0, 0, {})
