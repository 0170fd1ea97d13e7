"""The decorator and the Monitor: time the call, hand over what went in and what came out."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider

from otel_ml import catalogue as names
from otel_ml._capture import Captured, Unsupported, copied
from otel_ml._capture_derived import capture_for
from otel_ml._counts import Counts
from otel_ml._emit import emitter_for
from otel_ml._events import PredictionEvents, new_ids
from otel_ml._fold import Fold
from otel_ml._guard import Guard, error_type
from otel_ml._layout import Layout
from otel_ml._pick import Inputs, Picker, input_picker
from otel_ml._segment import Place, Segments, Source, faults_of
from otel_ml._settings import Settings
from otel_ml._values import ABSENT
from otel_ml.baseline import Baseline
from otel_ml.errors import ConfigurationError, Fault

Function = TypeVar("Function", bound=Callable[..., Any])


class Monitor:
    """Counts what one version of a model is given and answers, and reports it through OpenTelemetry metrics.

    `baseline` is a path or a `Baseline`; without one, `model` and `version` still give latency, errors and rows.
    `inputs` says what of a call's arguments the model's input is, where it is not the first: the name of a parameter, several names (a
    row, or columns, of these), or a function that is given the same arguments and returns the input.
    `events` is the share of predictions, 0 to 1, that is also sent as an `ml.prediction` event (True: all), so that outcomes can be
    joined later. `role` is `stable`, `canary` or `shadow`. `segment`, a column or a function of the input, splits predictions and
    confidences by the values that `segments` names; all others are `__other__`. The providers default to the global ones, which may
    be configured before or after.

    Raises `BaselineError` for an unusable baseline and `ConfigurationError` for options that contradict each other: a fault of the
    configuration stops the start. After that nothing raises: a fault while counting is counted and logged, and the prediction goes out.

    >>> monitor = Monitor(model="churn", version="3")
    >>> predict = monitor.wrap(lambda rows: [0.5 for _ in rows])
    >>> predict([[1.0], [2.0]])
    [0.5, 0.5]
    >>> from otel_ml import testing
    >>> testing.collect(monitor).rows
    2
    """

    def __init__(
        self,
        baseline: str | Path | Baseline | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
        role: str = names.ROLE_STABLE,
        segment: Source | None = None,
        segments: Sequence[str] = (),
        inputs: Inputs | None = None,
        events: float = 0.0,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        settings = Settings.from_environment()
        self.baseline = Baseline.load(baseline) if isinstance(baseline, str | Path) else baseline
        faults = [*_faults_of_role(role), *faults_of(segment, segments)]
        self.model, self.version = _identity(self.baseline, model, version, float(events), faults)
        features = self.baseline.columns if self.baseline is not None else ()
        self._segments = Segments(segment, segments, features) if segment is not None else None
        layout = Layout(self.model, self.version, self.baseline, role=role, segments=self._segments.names if self._segments else ())
        self._disabled = settings.disabled
        self._guard = Guard(self.model, settings)
        self._counts = Counts(layout, self._guard)
        self._capture = capture_for(self.baseline, self.model, [segment] if isinstance(segment, str) else ())
        self._inputs = inputs
        self._attributes = layout.model_attributes
        self._events = PredictionEvents(layout, float(events), logger_provider) if events else None
        self._meaning = Fold(layout) if events else None
        emitter = emitter_for(meter_provider)
        self._record_duration = emitter.duration.record
        weakref.finalize(self, emitter.register(self._counts).leave, self._counts).atexit = False

    def wrap(self, function: Function) -> Function:
        """`function`, monitored: the same signature, return value and exceptions; its first argument is the input, or what `inputs` says.

        Takes functions, coroutine functions, methods and any other callable. `self` and `cls` are passed over. Raises
        `ConfigurationError` when `inputs` names what is no parameter.
        """
        if self._disabled:
            return function
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self.wrap(function.__func__))
        pick = input_picker(function, self._inputs)
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004

            async def awaiting(*args: Any, **kwargs: Any) -> Any:
                with self._call(pick, args, kwargs) as call:
                    call.prediction = prediction = await function(*args, **kwargs)
                return prediction

            return _dressed(awaiting, function)

        def calling(*args: Any, **kwargs: Any) -> Any:
            with self._call(pick, args, kwargs) as call:
                call.prediction = prediction = function(*args, **kwargs)
            return prediction

        return _dressed(calling, function)

    def observe(self, data: Any, *, prediction_ids: Sequence[str] | None = None) -> Call:
        """A context in which the model is called; set `prediction` on what it yields.

        `prediction_ids` name the rows in events, one a row; generated when absent, see `Call.prediction_ids`.
        """
        return Call(self, data, prediction_ids)

    def _call(self, pick: Picker, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        try:
            data = pick(args, kwargs)
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._counts.drop(1, names.DROP_ERROR)
            self._guard.fault(error, "picking the input")
            data = ABSENT
        return Call(self, data, None)

    def _take(self, data: Any) -> Captured | None:
        """The input, copied or counted already; None when it is the latter, or cannot be counted at all."""
        if data is ABSENT:
            return None
        try:
            captured = self._capture(data)
            if not self._counts.is_large(captured):
                return captured.copy()
            self._counts.add_now(captured)
        except Unsupported as error:
            self._counts.drop(error.rows, names.DROP_UNSUPPORTED)
            self._guard.fault(error, "reading the input")
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._counts.drop(1, names.DROP_ERROR)
            self._guard.fault(error, "reading the input")
        return None

    def _segment(self, data: Any) -> Place:
        if self._segments is None:
            return 0
        try:
            return self._segments(data)
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._guard.fault(error, "reading the segment")
            return self._segments.other

    def _done(self, call: Call, seconds: float, error: BaseException | None) -> None:
        try:
            if error is None:
                self._record_duration(seconds, self._attributes)
                self._counts.add(call.captured, self._kept(call.prediction), call.segment)
                if self._events is not None and call.prediction is not None:
                    self._send(call)
            else:
                self._record_duration(seconds, {**self._attributes, names.ERROR_TYPE: error_type(error)})
                self._counts.add(call.captured, None)
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            self._guard.fault(fault, "recording a call")

    def _kept(self, prediction: Any) -> Any:
        try:
            return copied(prediction)
        except Exception as fault:  # noqa: BLE001 - the input counts even where the prediction cannot be read
            self._counts.drop(1, names.DROP_ERROR)
            self._guard.fault(fault, "reading the prediction")
            return None

    def _send(self, call: Call) -> None:
        assert self._events is not None and self._meaning is not None  # noqa: PT018
        for outputs in self._meaning.understand([call.prediction]):
            rows = len(next(part for part in outputs if part is not None))
            if call.prediction_ids is None:
                call.prediction_ids = new_ids(rows)
            if len(call.prediction_ids) != rows:
                raise ValueError(f"{len(call.prediction_ids)} prediction_ids for {rows} predictions; give one for each")
            self._events.send(call.prediction_ids, outputs, call.segment)


class Call:
    """One call of the model, from `Monitor.observe`; set `prediction` before the context ends.

    `prediction_ids` are the ids under which events were sent, one a row, once the context has ended.
    """

    __slots__ = ("_monitor", "_start", "captured", "prediction", "prediction_ids", "segment")

    def __init__(self, monitor: Monitor, data: Any, prediction_ids: Sequence[str] | None) -> None:
        self._monitor = monitor
        self.prediction: Any = None
        self.prediction_ids = prediction_ids
        self.captured = None if monitor._disabled else monitor._take(data)  # noqa: SLF001
        self.segment = 0 if monitor._disabled else monitor._segment(data)  # noqa: SLF001

    def __enter__(self) -> Call:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self._start = perf_counter()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        seconds = perf_counter() - self._start
        if not self._monitor._disabled:  # noqa: SLF001
            self._monitor._done(self, seconds, error)  # noqa: SLF001


def monitor(baseline: str | Path | Baseline | None = None, **options: Any) -> Callable[[Function], Function]:
    """Decorate a `predict` function: `@otel_ml.monitor("churn-3.json")`; the options are those of `Monitor`.

    The function, sync or async, plain or a method, is given one row or a batch as its first argument (`self` aside) and keeps its
    signature, its return value and its exceptions.
    """
    if callable(baseline):
        raise ConfigurationError(
            "@otel_ml.monitor",
            [Fault("baseline", "is absent", 'write @otel_ml.monitor("baseline.json") or @otel_ml.monitor(model=..., version=...)')],
        )
    return Monitor(baseline, **options).wrap


def _faults_of_role(role: str) -> list[Fault]:
    return [] if role in names.ROLES else [Fault("role", f"is {role!r}", f"give one of {', '.join(names.ROLES)}")]


def _identity(baseline: Baseline | None, model: str | None, version: str | None, events: float, others: list[Fault]) -> tuple[str, str]:
    faults = [*others]
    known = (("model", model, baseline and baseline.model), ("version", version, baseline and baseline.version))
    for name, given, stored in known:
        if (given is None or not str(given)) and stored is None:
            faults.append(Fault(name, "is absent", f"give a baseline, or model= and version= (missing: {name}=)"))
        elif given is not None and stored is not None and str(given) != stored:
            faults.append(
                Fault(
                    name, f"is {given!r} but the baseline is of {stored!r}", f"leave {name}= out, or give the baseline that belongs to it"
                )
            )
    if not 0 <= events <= 1:
        faults.append(Fault("events", f"is {events}", "give the share of predictions to send, 0 to 1"))
    if events and (baseline is None or baseline.prediction is None):
        faults.append(Fault("events", "need a baseline that knows the predictions", "give predictions= to Baseline.from_data"))
    if faults:
        raise ConfigurationError("the monitor", faults)
    return (baseline.model, baseline.version) if baseline is not None else (str(model), str(version))


def _dressed(wrapper: Callable[..., Any], function: Function) -> Function:
    return functools.update_wrapper(wrapper, function)  # type: ignore[return-value]
