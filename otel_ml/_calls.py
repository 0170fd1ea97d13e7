"""One call of a model: the clock and the span around it, and the watch of an answer that comes piece by piece."""

# ruff: noqa: SLF001 - a call is the part of its monitor that belongs to one call

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from opentelemetry.trace import INVALID_SPAN, Span

from otel_ml._abstain import Floats, Rows
from otel_ml._at_work import AtWork, Model, Models, models_at_work, set_at_work
from otel_ml._capture import Captured
from otel_ml._ids import TRACE, Given, announce, ids_at, of_trace
from otel_ml._reading import rows_of
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
    replaceable: bool = True
    """Whether the caller gets `answer`; not where it waits for the model's own future."""
    judged_only: bool = False
    """Whether the policy judges the answer of a call that is not recorded."""
    given: Given = None
    captured: Captured | None = None
    outlier: Floats | None = None
    data: Any = None
    segment: Place = 0
    meaning: Mapping[str, Any] = MappingProxyType({})
    span: Span = INVALID_SPAN
    _token: Any = None
    _start: float
    _outside: Models
    _inside: list[Model]

    def __init__(self, monitor: Monitor, data: Any, given: Given = None) -> None:
        self._monitor = monitor
        repeated = monitor._model in models_at_work()
        self.counted = not (repeated or monitor._disabled)
        if self.counted:
            self.captured = monitor._take(data)
            if monitor._segments is not None:
                self.segment = monitor._segment(data, monitor._segments)
            if monitor._abstain is not None:
                self.data = data
            if given is not None:
                self.given = given
        elif monitor._gate is not None or monitor._abstain is not None:
            self._judge_unrecorded(data)

    def _judge_unrecorded(self, data: Any) -> None:
        """Telemetry is off, or an outer monitor of the model records the call: it is judged nevertheless, by the outermost that does so."""
        monitor = self._monitor
        judges = [model for model in models_at_work() if model == monitor._model]
        gated = monitor._gate is not None and not any(model.rejects for model in judges)
        self.judged_only = monitor._abstain is not None and not any(model.abstains for model in judges)
        if gated or self.judged_only:
            self.captured = monitor._take(data, recorded=False, gated=gated)
            self.data = data

    def start(self) -> None:
        """Start the clock and the span."""
        monitor = self._monitor
        if monitor._spans is not None and self.counted:
            try:
                self.span = monitor._spans.begin()
            except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
                monitor._guard.fault(fault, "starting a span")
        self._start = perf_counter()

    def __enter__(self) -> Call:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        monitor = self._monitor
        self._outside = outside = models_at_work()
        self._inside = inside = [*outside, monitor._model] if outside else [monitor._model]
        set_at_work(inside)
        spans = monitor._spans
        if spans is None or not self.counted:
            self._start = perf_counter()
        else:
            self.start()
            self._token = spans.enter(self.span)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        seconds = perf_counter() - self._start
        set_at_work(self._outside)
        self._inside.clear()
        self.answer = self.prediction
        monitor = self._monitor
        if not self.counted:
            if self.judged_only and error is None:
                watch = watch_of(self.prediction)
                monitor._judge(self) if watch is None else monitor._watch(self, watch)
            return
        watch = watch_of(self.prediction) if error is None else None
        if watch is None:
            monitor._done(self, seconds, error)
        else:
            monitor._watch(self, watch)
        if monitor._spans is not None:
            monitor._spans.leave(self._token)


class Announced(Call):
    """A call whose ids the caller of the model will see; until it has some, not those of the call before."""

    def __init__(self, monitor: Monitor, data: Any, given: Given = None) -> None:
        announce(())
        super().__init__(monitor, data, given)


class Stream:
    """The watcher of a call whose answer comes piece by piece; a piece is a prediction for the rows that follow those before.

    It must not be reachable from the call that its owner holds: a stream that nobody starts ends when this is collected.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._open = True
        monitor = call._monitor
        spans = monitor._spans if call.counted else None
        self.at_work = AtWork(monitor._model, spans.around(call.span) if spans is not None else None)
        self._input = self._uncounted = call.captured
        self._segment = call.segment
        self._row = 0
        if monitor._ids == TRACE and call.given is None:
            with self.at_work:
                call.given = of_trace()
        self._given = call.given

    def __del__(self) -> None:
        self.end(None)

    def piece(self, item: Any) -> Any:
        """Count a piece as a prediction."""
        call, monitor = self._call, self._call._monitor
        if item is None or not (call.counted or call.judged_only):
            return item
        call.prediction = call.answer = item
        call.withheld = call.outlier = None
        try:
            kept = monitor._kept(item, 1, recorded=call.counted)
            first, rows = self._row, 1 if kept is None else rows_of(kept)
            self._row += rows
            places = np.arange(first, first + rows)
            call.segment = self._segment if isinstance(self._segment, int) else self._segment[np.minimum(places, len(self._segment) - 1)]
            uncounted, self._uncounted = self._uncounted, None
            if call.counted:
                monitor._counts.add(uncounted, kept, call.segment)
            if monitor._telling is not None:
                known = self._input if self._input is not None and self._input.size else None
                call.captured = None if known is None else known.at(places)
                call.given = ids_at(self._given, first, rows, 1 if known is None else known.size)
                monitor._telling(call, kept)
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            monitor._guard.fault(fault, "recording a piece")
        return call.answer

    @property
    def judges(self) -> bool:
        """Whether the answer may be withheld."""
        call = self._call
        return call.judged_only or (call.counted and call._monitor._abstain is not None)

    def whole(self, item: Any, *, replaceable: bool = True) -> Any:
        """Count an answer that came late."""
        call, monitor = self._call, self._call._monitor
        if not (call.counted or call.judged_only):
            return item
        call.prediction = call.answer = item
        call.replaceable = replaceable
        self._uncounted = None
        try:
            monitor._answered(call) if call.counted else monitor._judge(call)
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            monitor._guard.fault(fault, "recording an answer")
        return call.answer

    def end(self, error: BaseException | None) -> None:
        """Record the call, which lasted until now."""
        if self._open:
            self._open = False
            self.at_work.end()
            call = self._call
            call.prediction, call.captured = None, self._uncounted
            if call.counted:
                call._monitor._done(call, perf_counter() - call._start, error)
