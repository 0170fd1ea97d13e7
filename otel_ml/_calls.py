"""One call of a model: the clock and the span around it, and the watch of an answer that comes piece by piece."""

# ruff: noqa: SLF001 - a call is the part of its monitor that belongs to one call

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import INVALID_SPAN, Span

from otel_ml._abstain import Rows
from otel_ml._capture import Captured
from otel_ml._ids import Given
from otel_ml._segment import Place
from otel_ml._streams import watch_of

if TYPE_CHECKING:
    from otel_ml.monitor import Monitor


class Call:
    """One call of the model, from `Monitor.observe`; set `prediction` before the context ends.

    Once it has ended `answer` is what to hand on: the prediction, the fallback where the `abstain` policy withholds it, or a stream
    that is timed to its end. `withheld` tells the rows that were withheld, None where none was. `prediction_ids` are the ids under
    which events were sent, one a row.
    """

    prediction: Any = None
    prediction_ids: Sequence[str] | None = None
    withheld: Rows | None = None
    answer: Any = None
    # Of the plugin itself; most calls set few of these
    given: Given = None
    captured: Captured | None = None
    data: Any = None
    segment: Place = 0
    meaning: Mapping[str, Any] = MappingProxyType({})
    span: Span = INVALID_SPAN
    _token: Any = None
    _start: float

    def __init__(self, monitor: Monitor, data: Any, given: Given = None) -> None:
        self._monitor = monitor
        if not monitor._disabled or monitor._gate is not None:
            self.captured = monitor._take(data)
            if monitor._segments is not None:
                self.segment = monitor._segment(data, monitor._segments)
            if monitor._abstain is not None:
                self.data = data
            if given is not None:
                self.given = given

    def start(self) -> None:
        """Start the clock and the span."""
        monitor = self._monitor
        if monitor._spans is not None:
            try:
                self.span = monitor._spans.begin()
            except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
                monitor._guard.fault(fault, "starting a span")
        self._start = perf_counter()

    def __enter__(self) -> Call:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        spans = self._monitor._spans
        if spans is None:
            self._start = perf_counter()
        else:
            self.start()
            self._token = spans.enter(self.span)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        seconds = perf_counter() - self._start
        monitor = self._monitor
        self.answer = self.prediction
        if monitor._disabled:
            return
        watch = watch_of(self.prediction) if error is None else None
        if watch is None:
            monitor._done(self, seconds, error)
        else:
            monitor._watch(self, watch)
        if monitor._spans is not None:
            monitor._spans.leave(self._token)


class Stream:
    """The watcher of a call whose answer comes piece by piece; a piece is a prediction.

    It must not be reachable from the call that its owner holds: a stream that nobody starts ends when this is collected.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._open = True

    def __del__(self) -> None:
        self.end(None)

    def piece(self, item: Any) -> Any:
        """Count a piece as a prediction."""
        call, monitor = self._call, self._call._monitor
        call.prediction = call.answer = item
        try:
            monitor._answered(call)
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            monitor._guard.fault(fault, "recording a piece")
        call.captured = None
        return call.answer

    def end(self, error: BaseException | None) -> None:
        """Record the call, which lasted until now."""
        if self._open:
            self._open = False
            call = self._call
            call.prediction = None
            call._monitor._done(call, perf_counter() - call._start, error)
