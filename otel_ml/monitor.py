"""The decorator and the Monitor: time the call, hand over what went in and what came out."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from otel_ml import _abstain, _event_features, _events, _segment
from otel_ml import catalogue as names
from otel_ml._abstain import Policy
from otel_ml._at_work import AtWork, Model
from otel_ml._calls import Announced, Call, Stream
from otel_ml._capture import Captured, Unsupported
from otel_ml._capture_derived import capture_for
from otel_ml._counts import Counts
from otel_ml._emit import emitter_for
from otel_ml._event_features import Chosen, EventFeatures
from otel_ml._events import PredictionEvents
from otel_ml._gate import INVALID, gate_faults, gate_for
from otel_ml._golden import Verification, verify
from otel_ml._guard import Guard, error_type
from otel_ml._identity import faults_of_role, identity
from otel_ml._ids import Given, IdPicker, id_picker
from otel_ml._ids import Source as IdSource
from otel_ml._layout import Layout
from otel_ml._option_types import OF_MONITOR, OF_VERIFICATION, type_faults
from otel_ml._pick import Inputs, Picker, input_picker
from otel_ml._reading import AnswerReader, Kept
from otel_ml._segment import Place, Segments, Source
from otel_ml._settings import Settings
from otel_ml._spans import Mode, Spans
from otel_ml._streams import Watch
from otel_ml._telling import Telling
from otel_ml._values import ABSENT
from otel_ml._wrappers import standing_for, unwrapped, wrapper_of
from otel_ml.baseline import Baseline
from otel_ml.errors import ConfigurationError, Fault

Function = TypeVar("Function", bound=Callable[..., Any])

_OF_THIS_PROCESS = ("self", "baseline", "meter_provider", "logger_provider", "tracer_provider")
"""Arguments of a monitor that another process is not given as they are."""


class Monitor:
    """Counts what one version of a model is given and answers, and reports it through OpenTelemetry metrics.

    `baseline` is a path or a `Baseline`; without one, `model` and `version` still give latency, errors and rows.
    `inputs` says what of a call's arguments the model's input is, where it is not the first: the name of a parameter, several names (a
    row, or columns, of these), or a function that is given the same arguments and returns the input.
    `output` makes of what the function returns what is counted: labels, probabilities or values, one a row.
    `on_invalid` says what happens before the model sees an input that breaks the baseline's schema: `observe` counts it, `warn` logs it
    too, `reject` raises `InvalidInput` instead of calling the model; `invalid` names the violations that do so.
    `events` is the share of predictions, 0 to 1, that is also sent as an `ml.prediction` event (True: all), so that outcomes can be
    joined later; `prediction_ids` names the parameter that holds their ids, is `"trace"`, or a function of the call's arguments.
    `event_features` (True, or names) go along, `hash_features` of them as hashes. `spans` is `"current"` or `"own"`.
    `role` is `stable`, `canary` or `shadow`. `segment`, a column or a function of the input, splits predictions and confidences by the
    values that `segments` names; all others are `__other__`. `abstain`, an `Abstain` or a function of what was `Understood`, says which
    rows to withhold; their place takes `fallback`, or what it makes, as a function, of the input, the prediction and the withheld rows.
    The providers default to the global ones, which may be configured before or after.

    Raises `BaselineError` for an unusable baseline, `OSError` for a file that cannot be read, and `ConfigurationError` for options that
    contradict each other: a fault of the configuration stops the start. After that nothing raises: a fault while counting is counted and
    logged, and the prediction goes out.

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
        output: Callable[[Any], Any] | None = None,
        on_invalid: str = "observe",
        invalid: Collection[str] = INVALID,
        events: float = 0.0,
        event_features: Chosen = False,
        hash_features: Sequence[str] = (),
        prediction_ids: IdSource | None = None,
        spans: Mode | None = None,
        abstain: Policy | None = None,
        fallback: Any = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        options = dict(locals())
        faults = list(type_faults(options, OF_MONITOR))
        if faults:
            raise ConfigurationError("the monitor", faults)
        self._options = {name: value for name, value in options.items() if name not in _OF_THIS_PROCESS}
        settings = Settings.from_environment()
        self.baseline = Baseline.load(baseline) if isinstance(baseline, str | Path) else baseline
        faults = [
            *faults_of_role(role, spans),
            *_segment.faults_of(segment, segments),
            *_events.faults_of(events, self.baseline),
            *_event_features.faults_of(event_features, hash_features, self.baseline, settings, events=bool(events)),
            *gate_faults(on_invalid, invalid, self.baseline),
            *_abstain.faults_of(abstain, fallback, self.baseline),
        ]
        self.model, self.version = identity(self.baseline, model, version, faults)
        self.role = role
        features = self.baseline.columns if self.baseline is not None else ()
        self._segments = Segments(segment, segments, features) if segment is not None else None
        layout = Layout(self.model, self.version, self.baseline, role=role, segments=self._segments.names if self._segments else ())
        self._disabled = settings.disabled
        self._guard = Guard(self.model, settings)
        self._counts = Counts(layout, self._guard)
        beside = [segment] if isinstance(segment, str) else []
        self._gate = gate_for(on_invalid, invalid, self.baseline, self.model, beside)
        self._model = Model(self.model, self.version, role, rejects=on_invalid == "reject", abstains=abstain is not None)
        self._reads_input = bool(event_features) or abstain is not None
        looked_at = self._gate is not None or bool(event_features)
        self._capture = capture_for(self.baseline, self.model, beside, looked_at=looked_at)
        self._inputs = inputs
        self.read_answer = AnswerReader(self.baseline, output)
        self._understands = self.baseline is not None and self.baseline.prediction is not None
        self._reads_floats = self._understands and output is None and not (self.baseline and self.baseline.output_names)
        self._attributes = layout.model_attributes
        self._ids = prediction_ids
        self._abstain = abstain
        sent: PredictionEvents | None = None
        if events and self.baseline is not None:
            chosen = EventFeatures(self.baseline, event_features, hash_features, settings.hash_key)
            sent = PredictionEvents(layout, float(events), chosen, logger_provider)
        self._spans = Spans(spans, layout.model_attributes, tracer_provider) if spans is not None else None
        tells = bool(events) or abstain is not None or spans is not None
        self._begun = Announced if events and role != names.ROLE_SHADOW else Call  # a shadow takes the ids of the primary
        self._telling = Telling(self._counts, sent, prediction_ids, abstain, fallback) if tells else None
        emitter = emitter_for(meter_provider)
        self._record_duration = emitter.duration.record
        self._owners = emitter.register(self._counts)
        weakref.finalize(self, self._owners.leave, self._counts).atexit = False

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it is made again, counts from 0 and reports to the global providers there."""
        return partial(type(self), self.baseline, **self._options), ()

    def __deepcopy__(self, _: Any) -> Monitor:
        """A copy of a service counts with the monitor of its original."""
        return self

    def wrap(self, function: Function) -> Function:
        """`function`, monitored: the same signature, return value and exceptions; its first argument is the input, or what `inputs` says.

        Takes functions, coroutine functions, generator functions of both kinds, methods and any other callable. `self` and `cls` are
        passed over. What is a stream, a generator or a response with a `body_iterator`, is timed to its end. Raises
        `ConfigurationError` when `inputs` or `prediction_ids` name what is no parameter.
        """
        if self._disabled and self._gate is None and self._abstain is None:
            return function
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self.wrap(function.__func__))
        given: object = function
        if not callable(given):
            mend = "give the function or method that predicts, such as model.predict_proba"
            raise ConfigurationError("Monitor.wrap", [Fault("function", f"is {type(given).__name__}, which cannot be called", mend)])
        begin = partial(self._call, input_picker(function, self._inputs), id_picker(self._ids, function))
        wrapper = standing_for(wrapper_of(function, begin), function)
        wrapper.__otel_ml_monitor__ = self  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    def verify(
        self, predict: Callable[[Any], Any], *, transform: Callable[[Any], Any] | None = None, tolerance: float = 1e-4
    ) -> Verification:
        """Give the baseline's golden records to `predict`, and to `transform` where they hold its results, and compare the answers.

        `predict` may be a coroutine function; a monitored one is called without its monitor, and nothing inside is counted or judged, so
        that the records are no traffic. Decorators around the monitored function are a part of what is verified. Numbers may differ by
        `tolerance`, relative and absolute. `ml.verification.records` says what came of the last time; an exception of the model is part of
        the result. Raises `ConfigurationError` when the baseline has no golden records.
        """
        golden = self.baseline.golden if self.baseline is not None else None
        faults = list(type_faults(locals(), OF_VERIFICATION))
        if golden is None:
            faults.append(Fault("golden", "records are none", "build the baseline with golden=24"))
        if golden is None or faults:
            raise ConfigurationError("Monitor.verify", faults)
        at_work = AtWork(replace(self._model, rejects=True, abstains=True))
        with at_work:
            found = verify(golden, unwrapped(predict), transform, tolerance, self.read_answer)
        at_work.end()
        failed = found.records if found.error is not None else 0
        mismatched = found.records - found.matches - failed
        self._owners.verified = dict(zip(names.VERIFICATION_RESULTS, (found.matches, mismatched, failed), strict=True))
        return found

    def observe(self, data: Any, *, prediction_ids: str | Sequence[str] | None = None) -> Call:
        """A context in which the model is called; set `prediction` on what it yields.

        `prediction_ids` name the rows in events, one a row, or one text that is numbered; see `Call.prediction_ids`.
        """
        return self._begun(self, data, prediction_ids)

    def _call(self, pick: Picker, pick_ids: IdPicker | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        ids: Given = None
        try:
            data = pick(args, kwargs)
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._counts.drop(1, names.DROP_ERROR)
            self._guard.fault(error, "picking the input")
            data = ABSENT
        if pick_ids is not None:
            try:
                ids = pick_ids(args, kwargs)
            except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
                self._guard.fault(error, "picking the ids")
        return self._begun(self, data, ids)

    def _take(self, data: Any, *, recorded: bool = True, gated: bool = True) -> Captured | None:
        """The input, copied or counted already; None when it is the latter, or cannot be counted at all.

        Raises `InvalidInput` for one that is rejected, where it is `gated`. That of a call that is not `recorded` is counted nowhere.
        """
        if data is ABSENT:
            return None
        refused = kept = None
        try:
            captured = self._capture(data)
            if self._gate is not None and gated:
                refused = self._gate(captured, data)
            if self._reads_input or (recorded and not self._counts.is_large(captured)):
                captured.detach()
                kept = captured
            elif recorded:
                self._counts.add_now(captured)
        except Unsupported as error:
            self._unread(error, error.rows, names.DROP_UNSUPPORTED, "the input", recorded=recorded)
            refused = self._gate.unreadable(error) if self._gate is not None and gated else None
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._unread(error, 1, names.DROP_ERROR, "the input", recorded=recorded)
        if refused is not None:
            if recorded:
                self._counts.add(kept, None)
                self._record_duration(0.0, {**self._attributes, names.ERROR_TYPE: names.ERROR_INVALID_INPUT})
            raise refused
        return kept

    def _segment(self, data: Any, segments: Segments) -> Place:
        try:
            return segments(data)
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._guard.fault(error, "reading the segment")
            return segments.other

    def _done(self, call: Call, seconds: float, error: BaseException | None) -> None:
        """A call ended whose answer, if there is one, is whole."""
        try:
            if error is None:
                self._record_duration(seconds, self._attributes)
                self._answered(call)
            else:
                self._record_duration(seconds, {**self._attributes, names.ERROR_TYPE: error_type(error)})
                self._counts.add(call.captured, None)
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            self._guard.fault(fault, "recording a call")
        finally:
            if self._spans is not None:
                self._end_span(self._spans, call, error)

    def _end_span(self, spans: Spans, call: Call, error: BaseException | None) -> None:
        try:
            spans.end(call.span, call.meaning, error)
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            self._guard.fault(fault, "ending a span")

    def _watch(self, call: Call, watch: Watch) -> None:
        """The answer is a stream: the call ends with it."""
        try:
            call.answer = watch(call.prediction, Stream(copy.copy(call)))
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            self._guard.fault(fault, "watching a stream")

    def _answered(self, call: Call) -> None:
        """Count the input and a prediction, and do with the prediction what was asked for."""
        answer = call.prediction
        if type(answer) is float and self._reads_floats:
            kept: Kept | None = answer
        else:
            kept = self._kept(answer, call.captured.size if call.captured is not None else 0)
        self._counts.add(call.captured, kept, call.segment)
        if self._telling is not None and call.prediction is not None:
            self._telling(call, kept)

    def _judge(self, call: Call) -> None:
        """Let the policy judge the answer of a call that is not recorded."""
        if call.prediction is None or self._telling is None:
            return
        try:
            self._telling(call, self._kept(call.prediction, call.captured.size if call.captured is not None else 0, recorded=False))
        except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
            self._guard.fault(fault, "judging an answer")

    def _unread(self, fault: Exception, rows: int, reason: str, what: str, *, recorded: bool) -> None:
        """Count rows that cannot be read, and tell why."""
        if recorded:
            self._counts.drop(rows, reason)
        self._guard.fault(fault, f"reading {what}")

    def _kept(self, answer: Any, rows: int, *, recorded: bool = True) -> Kept | None:
        """What is counted of an answer for `rows` rows, 0 where unknown; None where there is none yet, or none that can be read."""
        if not self._understands or answer is None or hasattr(type(answer), "__next__"):
            return None
        try:
            return self.read_answer(answer, rows)
        except Unsupported as error:
            self._unread(error, error.rows, names.DROP_UNSUPPORTED, "the prediction", recorded=recorded)
        except Exception as fault:  # noqa: BLE001 - the input counts even where the prediction cannot be read
            self._unread(fault, 1, names.DROP_ERROR, "the prediction", recorded=recorded)
        return None


Options = ParamSpec("Options")


def _takes_options_of(_: Callable[Options, Monitor]) -> Callable[[Callable[..., Any]], Callable[Options, Callable[[Function], Function]]]:
    """Lets type checkers and editors know the options of a function that hands them on."""
    return lambda function: function


@_takes_options_of(Monitor)
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


def monitor_of(function: Any) -> Monitor | None:
    """The monitor that wraps a function; None where there is none."""
    found = getattr(function, "__otel_ml_monitor__", None)
    return found if isinstance(found, Monitor) else None
