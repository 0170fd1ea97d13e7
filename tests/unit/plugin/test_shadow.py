"""A candidate is tried on real traffic; nobody but its metrics notices."""

import asyncio
import contextvars
import dataclasses
import inspect
import subprocess
import sys
import threading
from operator import itemgetter

import cloudpickle
import numpy as np
import pytest
from opentelemetry.sdk._logs import LoggerProvider, export

from otel_ml import ConfigurationError, Monitor, current_prediction_ids, shadow
from otel_ml.catalogue import SHADOW_COMPARISONS, SHADOW_RESULT
from support import eventually

InMemoryExporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter
ROWS = [{"age": 40.0, "visits": 1}, {"age": 50.0, "visits": 2}]


def compared(monitor):
    """How many comparisons with this candidate came to what, so far."""
    counts = monitor._counts
    series = counts.layout.series[SHADOW_COMPARISONS]
    values = counts.read()[series.start : series.stop].tolist()
    return {attributes[SHADOW_RESULT]: value for attributes, value in zip(series.attributes, values, strict=True) if value}


@pytest.fixture
def watching(numeric, request):
    """A monitor of the candidate, version 4, and what it has compared so far."""
    monitor = Monitor(dataclasses.replace(numeric, model=request.node.name, version="4"), role="shadow")

    def soon(expected):
        eventually(lambda: compared(monitor) == expected, lambda: f"{compared(monitor)} is not {expected}")

    monitor.soon = soon
    return monitor


@pytest.mark.parametrize(
    ("answer", "other", "expected"),
    [
        ([0.1, 0.9], [0.2, 0.1], {"agree": 1, "disagree": 1}),
        ([0.1, 0.9], [[0.6, 0.4], [0.1, 0.9]], {"agree": 2}),
        (["no", "yes"], [0.2, 0.7], {"agree": 2}),
        (np.array([0.1, 0.9]), ["yes", "no"], {"disagree": 2}),
        ([0.1, 0.9], [0.1], {"error": 2}),
        ([0.1, 0.9], None, {"error": 2}),
        (["new", "gone"], ["new", "odd"], {"agree": 1, "disagree": 1}),
        ({"label": "yes", "score": 0.9}, {"label": "no", "score": 0.9}, {"disagree": 1}),
        ({"risk": 0.9, "n": 1}, {"risk": 0.9, "n": 1}, {"error": 1}),
    ],
    ids=["scores", "columns", "labels", "other labels", "other length", "nothing", "unknown labels", "pairs", "meaningless"],
)
def test_rows_agree_that_mean_the_same_class(watching, answer, other, expected):
    predict = shadow(lambda _: answer, watching.wrap(lambda _: other))
    assert predict(ROWS) is answer
    watching.soon(expected)


def test_answers_are_compared_as_their_monitors_read_them(numeric, request):
    watched = [dataclasses.replace(numeric, model=request.node.name, version=version) for version in ("5", "6")]
    primary, candidate = Monitor(watched[0], output=itemgetter("a")), Monitor(watched[1], output=itemgetter("b"), role="shadow")
    predict = shadow(primary.wrap(lambda _: {"a": [0.1, 0.9], "n": 2}), candidate.wrap(lambda _: {"b": [0.9, 0.8], "n": 2}))
    predict(ROWS)
    eventually(lambda: compared(candidate) == {"agree": 1, "disagree": 1}, lambda: compared(candidate))


def test_the_baseline_of_one_explains_the_answers_of_both(numeric, request):
    """A candidate is tried before it has a baseline; classes and their probabilities are then those of the primary's."""
    primary = Monitor(dataclasses.replace(numeric, model=request.node.name, version="7"))
    candidate = Monitor(model=request.node.name, version="8", role="shadow", output=itemgetter("risk"))
    predict = shadow(primary.wrap(lambda _: [0.9, 0.1, 0.2]), candidate.wrap(lambda _: {"risk": [0.7, 0.6, 0.1], "n": 3}))
    predict(ROWS)
    eventually(lambda: compared(candidate) == {"agree": 2, "disagree": 1}, lambda: compared(candidate))


def test_numbers_agree_within_one_percent(request):
    monitor = Monitor(model=request.node.name, version="2", role="shadow")
    predict = shadow(lambda _: [1.0, 100.0, 0.0], monitor.wrap(lambda _: [1.005, 102.0, 0.0]))
    predict(ROWS)
    series = monitor._counts.layout.series[SHADOW_COMPARISONS]
    eventually(lambda: monitor._counts.read()[series.start : series.stop].tolist() == [2, 1, 0, 0], lambda: "not compared")


def test_agreement_may_be_the_user_s_own(watching):
    predict = shadow(lambda _: [0.1, 0.9], watching.wrap(lambda _: [0.9, 0.9]), agree=lambda mine, its: len(mine) == len(its))
    predict(ROWS)
    watching.soon({"agree": 2})


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt()], ids=repr)
def test_a_candidate_that_raises_is_counted_and_the_next_call_is_compared(watching, error):
    def fails(rows):
        if len(rows) == 2:
            raise error
        return [0.1]

    predict = shadow(lambda rows: [0.1] * len(rows), watching.wrap(fails))
    predict(ROWS)
    watching.soon({"error": 2})
    predict(ROWS[:1])
    watching.soon({"error": 2, "agree": 1})


def test_a_candidate_that_is_busy_is_left_out_and_nobody_waits(watching):
    released, running = threading.Event(), threading.Event()

    def slow(_):
        running.set()
        released.wait(20)
        return [0.1]

    predict = shadow(lambda _: [0.1], watching.wrap(slow), queue=1, timeout=60)
    predict(ROWS[:1])
    assert running.wait(20)
    for _ in range(4):
        predict(ROWS[:1])
    watching.soon({"dropped": 3})
    released.set()
    watching.soon({"dropped": 3, "agree": 2})


def test_a_candidate_that_is_late_is_not_compared(watching):
    predict = shadow(lambda _: [0.1], watching.wrap(lambda _: threading.Event().wait(0.05) or [0.1]), timeout=0.01)
    predict(ROWS[:1])
    watching.soon({"dropped": 1})


def test_the_candidate_sees_the_arguments_and_the_answer_as_they_were(watching):
    def consuming(rows, *, scale):
        answer = [0.1] * len(rows)
        rows.clear()
        return answer

    seen = []
    predict = shadow(consuming, watching.wrap(lambda rows, *, scale: seen.append((rows, scale)) or [0.1, 0.1]))
    answer = predict(list(ROWS), scale=2)
    answer[:] = [0.9, 0.9]
    watching.soon({"agree": 2})
    assert seen == [(ROWS, 2)]


def test_arguments_that_cannot_be_copied_leave_the_candidate_out(watching):
    predict = shadow(lambda lock: [0.1], watching.wrap(lambda _: [0.1]))
    assert predict(threading.Lock()) == [0.1]
    watching.soon({"dropped": 1})


def test_a_primary_that_raises_is_not_compared(watching):
    seen = []
    predict = shadow(lambda _: 1 / 0, watching.wrap(seen.append))
    with pytest.raises(ZeroDivisionError):
        predict(ROWS)
    assert seen == []


def test_coroutines_may_be_on_either_side(watching):
    async def primary(rows):
        """Predict."""
        return [0.1] * len(rows)

    async def candidate(rows):
        await asyncio.sleep(0)
        return [0.2] * len(rows)

    predict = shadow(primary, watching.wrap(candidate))
    assert inspect.iscoroutinefunction(predict)
    assert predict.__doc__ == "Predict."
    assert asyncio.run(predict(ROWS)) == [0.1, 0.1]
    watching.soon({"agree": 2})


def test_the_candidate_runs_in_the_context_of_the_request(watching):
    tenant = contextvars.ContextVar("tenant")
    seen = []
    predict = shadow(lambda _: [0.1], watching.wrap(lambda _: seen.append(tenant.get()) or [0.1]))
    tenant.set("acme")
    predict(ROWS[:1])
    watching.soon({"agree": 1})
    assert seen == ["acme"]


def test_outcomes_find_both_predictions_under_one_id(numeric, request):
    exporter, provider = InMemoryExporter(), LoggerProvider()
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    stable, candidate = (
        Monitor(
            dataclasses.replace(numeric, model=request.node.name, version=version), role=role, events=True, logger_provider=provider
        ).wrap(lambda rows: [0.1] * len(rows))
        for version, role in (("3", "stable"), ("4", "shadow"))
    )
    shadow(stable, candidate)(ROWS)
    ids = current_prediction_ids()
    eventually(lambda: len(exporter.get_finished_logs()) == 2, exporter.get_finished_logs)
    sent = [log.log_record.attributes for log in exporter.get_finished_logs()]
    assert [(one["ml.model.version"], one["ml.model.role"], one["ml.prediction.id"]) for one in sent] == [
        (version, role, ids) for version, role in (("3", "stable"), ("4", "shadow"))
    ]
    provider.shutdown()


def in_pieces(rows):
    for _ in rows:
        yield [{"score": 0.9}]


async def in_async_pieces(rows):
    for _ in rows:
        yield [{"score": 0.9}]


async def all_of(pieces):
    return [piece async for piece in pieces]


@pytest.mark.parametrize(
    ("primary", "read"),
    [(in_pieces, list), (lambda rows: iter([*in_pieces(rows)]), list), (in_async_pieces, lambda pieces: asyncio.run(all_of(pieces)))],
    ids=["a generator", "an iterator", "an async generator"],
)
def test_an_answer_in_pieces_reaches_the_caller_whole_though_output_would_read_it(numeric, request, watching, primary, read):
    def scores(piece):
        return [row["score"] for row in piece]

    monitor = Monitor(dataclasses.replace(numeric, model=request.node.name, version="3"), output=scores)
    predict = shadow(monitor.wrap(primary), watching.wrap(lambda _: [0.9]))
    assert read(predict(ROWS)) == [[{"score": 0.9}]] * 2
    watching.soon({"dropped": 1})


def test_a_shadow_in_another_process_has_threads_of_its_own(request):
    candidate = Monitor(model=request.node.name, version="4", role="shadow")
    predict = shadow(lambda _: [0.1], candidate.wrap(lambda _: [0.1]), workers=2)
    predict(ROWS)
    program = """
import pickle, sys
from otel_ml import Monitor
predict = pickle.loads(sys.stdin.buffer.read())
print(predict([[1.0]]), predict.__closure__[1].cell_contents._pool._workers)
"""
    done = subprocess.run([sys.executable, "-c", program], input=cloudpickle.dumps(predict), capture_output=True, timeout=60, check=False)
    assert (done.stdout.decode(), done.stderr.decode()) == ("[0.1] 2\n", "")


def test_a_candidate_must_be_monitored_as_a_shadow(numeric):
    for candidate in (lambda _: [0.1], Monitor(numeric).wrap(lambda _: [0.1])):
        with pytest.raises(ConfigurationError, match=r'is not monitored as a shadow; wrap it: Monitor\(..., role="shadow"\)'):
            shadow(lambda _: [0.1], candidate)


@pytest.mark.parametrize(
    ("option", "value"), [("workers", 0), ("queue", True), ("timeout", 0), ("timeout", "5"), ("agree", 3), ("primary", 3)]
)
def test_options_that_cannot_be_are_refused_by_name(watching, option, value):
    with pytest.raises(ConfigurationError, match=f"{option}: is {value!r}; give "):
        shadow(**{"primary": lambda _: [0.1], "candidate": watching.wrap(lambda _: [0.1]), option: value})


def test_a_disabled_sdk_leaves_the_primary_alone(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert shadow(len, len) is len


def test_threads_end_with_the_shadow(watching):
    predict = shadow(lambda _: [0.1], watching.wrap(lambda _: [0.1]), workers=2)
    for _ in range(5):
        predict(ROWS[:1])
    watching.soon({"agree": 5})
    mine = [
        thread
        for thread in threading.enumerate()
        if thread.name == "otel-ml-shadow" and thread in predict.__closure__[1].cell_contents._pool._threads
    ]
    assert len(mine) == 2
    del predict
    eventually(lambda: not any(thread.is_alive() for thread in mine), lambda: mine)


PROGRAM = """
import os, sys, threading
from otel_ml import Monitor, shadow
monitor = Monitor(model="exit", version="1", role="shadow")
predict = shadow(lambda _: [0.1], monitor.wrap({candidate}))
for _ in range(8):
    predict([[1.0]])
{after}
"""


@pytest.mark.parametrize(
    ("candidate", "after"),
    [
        ("lambda _: [0.1]", ""),
        ("lambda _: threading.Event().wait(600)", ""),
        ("lambda _: [0.1]", "child = os.fork()\nfor _ in range(8): predict([[1.0]])\nif child: assert os.waitpid(child, 0)[1] == 0"),
    ],
    ids=["quick", "hanging", "forked"],
)
def test_the_interpreter_ends(candidate, after):
    program = PROGRAM.format(candidate=candidate, after=after)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
