"""The outermost call of a framework's models is counted, once; classes are changed so that they can be changed back."""

from __future__ import annotations

import copy
import functools
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple

from otel_ml._at_work import Model, models_at_work, set_at_work
from otel_ml._calls import Call
from otel_ml._capture import Captured
from otel_ml._guard import Guard
from otel_ml._settings import Settings
from otel_ml._values import ABSENT
from otel_ml.errors import InvalidInput
from otel_ml.instrumentation._config import Facts
from otel_ml.instrumentation._models import Models, columns_of
from otel_ml.monitor import Monitor, monitor_of

_ANY: Final = (Model("", "", ""),)
"""Some model is at work; whatever it calls in turn is part of it."""

_INHERITED: Final = object()

Counted = Callable[[Callable[..., Any], str], Callable[..., Any]]
"""From a method and its name to a function that counts its calls."""

Features = tuple[tuple[str, ...] | None, int | None]
"""The names of a model's features, and their number, where it knows them."""


def first_argument(name: str) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]:
    """Reads the input of a method whose first parameter is it."""

    def data(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[0] if args else kwargs.get(name)

    return data


_first_argument_x: Final = first_argument("X")


@dataclass(frozen=True)
class Framework:
    """What the hooks know of a framework.

    `methods` count unless the configuration says which one does. `library` are prefixes of the modules whose calls of a model are
    no predictions for users: cross-validation, calibration, the threads of an ensemble. `data` finds the input in a call's
    arguments, None where the call predicts nothing, ABSENT where the framework does not show it: such a call has as many rows as its
    answer. `read` makes of it what a Monitor reads; `answer` does so for the result, given the model and the call's arguments too, and
    `outputs` where the baseline has several: by name, None where the result is one, which may be a table of them. Where no name is one of
    the baseline's they are in its order.
    """

    name: str
    methods: frozenset[str]
    features: Callable[[Any], Features]
    library: tuple[str, ...] = ()
    data: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any] = _first_argument_x
    read: Callable[[Any], Any] = lambda data: data
    answer: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], Any] = lambda _, __, ___, result: result
    outputs: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], Mapping[str, Any] | None] = lambda _, __, ___, ____: None

    def facts(self, model: Any, data: Any) -> Facts:
        """What the model knows of itself, its number of features from its first input where it does not know it."""
        kind = type(model)
        try:
            names, number = self.features(model)
        except Exception:  # noqa: BLE001 - a model that is not fitted, or of a version that tells it otherwise
            names, number = None, None
        if number is None:
            number = columns_of(data)
        return Facts(self.name, (kind.__name__, f"{kind.__module__}.{kind.__qualname__}"), names, number)


class Begun(NamedTuple):
    """A call that is counted, and by whom."""

    monitor: Monitor
    call: Call
    unread: bool


class Hooks:
    """The changed methods of one framework's classes; classes are remembered weakly, what was there before by the change itself."""

    def __init__(self, framework: Framework, models: Models) -> None:
        self.framework = framework
        self.unless: Callable[[], bool] = bool
        """Whether a call must be left alone entirely, such as one that a compiler traces."""
        self._models = models
        self._guard = Guard(f"of {framework.name}", Settings.from_environment())
        self._changed: weakref.WeakSet[type] = weakref.WeakSet()
        self._undo: list[Callable[[], None]] = []
        self._active = True

    def methods(self, owner: type, names: Iterable[str]) -> None:
        """Count the calls of those methods that `owner` defines itself."""
        for name in names:
            if name in owner.__dict__:
                self.method(owner, name)

    def method(self, owner: type, name: str, counted: Counted | None = None) -> None:
        """Count the calls of a method that `owner` defines or inherits, unless a decorator does; one of some instances only stays so.

        `counted` makes another function of a method that does not return its result.
        """
        original = owner.__dict__.get(name, _INHERITED)
        function = getattr(owner, name, None) if original is _INHERITED else original
        if self._change_of(function) is not None or monitor_of(function) is not None:
            return
        replacement: Any
        if isinstance(function, FunctionType):
            replacement = (counted or self.counted)(function, name)
        elif hasattr(type(function), "__get__") and not isinstance(function, property | staticmethod | classmethod):
            replacement = _Conditional(self, function, name)
        else:
            return
        replacement._otel_ml_change = _Change(self, original, weakref.ref(replacement))  # noqa: SLF001
        try:
            setattr(owner, name, replacement)
        except TypeError:
            return  # a class of an extension module, which cannot be changed
        self._changed.add(owner)

    def at_undo(self, work: Callable[[], None]) -> None:
        """Do something further when everything is put back."""
        self._undo.append(work)

    def undo(self) -> None:
        """Put back what was there, unless somebody else has changed it since; nothing is counted any more either way."""
        self._active = False
        for work in self._undo:
            work()
        for owner in list(self._changed):
            for name, attribute in list(owner.__dict__.items()):
                change = self._change_of(attribute)
                if change is None:
                    continue
                if change.original is _INHERITED:
                    delattr(owner, name)
                else:
                    setattr(owner, name, change.original)
        self._changed.clear()

    def _change_of(self, attribute: Any) -> _Change | None:
        """Ours, and not copied onto another function by `functools.wraps`."""
        change = getattr(attribute, "_otel_ml_change", None)
        return change if isinstance(change, _Change) and change.hooks is self and change.replacement() is attribute else None

    def counted(self, function: Callable[..., Any], method: str) -> Callable[..., Any]:
        """`function`, a method of the models, counted where no other is at work, decorated ones included."""
        hooks: Hooks | None = self

        @functools.wraps(function)
        def calling(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            # A class of a notebook goes to other processes by value, this function with it: there it has no hooks, and needs no otel_ml
            return function(model, *args, **kwargs) if hooks is None else hooks.call(function, method, model, args, kwargs)

        return calling

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """None in another process: there a method is only called."""
        return type(None), ()

    def call(self, function: Callable[..., Any], method: str, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `function` returns, its call counted; for the function that `counted` makes, whose caller it looks at."""
        if self.unless() or models_at_work():
            return function(model, *args, **kwargs)
        caller = str(sys._getframe(2).f_globals.get("__name__"))  # noqa: SLF001 - the documented way to know who calls
        set_at_work(_ANY)
        try:
            begun = None if caller.startswith(self.framework.library) else self.begin(model, method, args, kwargs)
            if begun is None:
                return function(model, *args, **kwargs)
            with begun.call as call:
                result = function(model, *args, **kwargs)
                if begun.unread or begun.monitor.baseline is not None:
                    call.prediction = self.answer(begun, model, args, kwargs, result)
            return result
        finally:
            set_at_work(())

    def begin(self, model: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
        """The call of a method, its input copied; None where it does not count. Raises `InvalidInput` where its monitor rejects that."""
        framework, guard = self.framework, self._guard
        try:
            data = framework.data(model, args, kwargs) if self._active else None
            if data is None:
                return None
            watch = self._models.watch(model, lambda: framework.facts(model, data))
            counts = method in framework.methods if watch.method is None else method == watch.method
            if not counts:
                return None
            monitor = watch.monitor
            guard = monitor._guard  # noqa: SLF001 - whose faults are counted under the name of the model
            call = monitor.observe(data if monitor.baseline is None or data is ABSENT else framework.read(data))
            return Begun(monitor, call, data is ABSENT)
        except InvalidInput:
            raise  # the configuration says to
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            guard.fault(error, "reading a call")
            return None

    def answer(self, begun: Begun, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        """What a call answered; None where that cannot be read."""
        try:
            baseline, framework = begun.monitor.baseline, self.framework
            names = baseline.output_names if baseline is not None else ()
            several = framework.outputs(model, args, kwargs, result) if names else None
            answer = framework.answer(model, args, kwargs, result) if several is None else several
            if begun.unread:
                begun.call.captured = Captured(len(answer if several is None else next(iter(several.values()))))
            if several is not None and several.keys().isdisjoint(names):
                return tuple(several.values())
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            begun.monitor._guard.fault(error, "reading an answer")  # noqa: SLF001
            return None
        return answer


@dataclass(frozen=True)
class _Change:
    hooks: Hooks
    original: Any
    replacement: Callable[[], Any]

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """None in another process, where nothing is put back."""
        return type(None), ()


class _Conditional:
    """A method that is there on some instances only, such as scikit-learn's `available_if`; it stays so."""

    def __init__(self, hooks: Hooks, original: Any, name: str) -> None:
        self._hooks = hooks
        self._original = original
        self._name = name
        self._last: tuple[Any, Any] = (None, None)
        functools.update_wrapper(self, original)  # type: ignore[arg-type]

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[Any]]:
        """What was there before, in another process."""
        return copy.copy, (self._original,)

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        found = self._original.__get__(model, owner)
        if model is None or not isinstance(found, MethodType):
            return found
        function, counted = self._last
        if function is not found.__func__:
            function = found.__func__
            counted = self._hooks.counted(function, self._name)
            self._last = function, counted
        return MethodType(counted, model)


def descendants(base: type) -> Iterator[type]:
    """A class and all that inherit from it by now."""
    yield base
    child: type
    for child in type.__subclasses__(base):
        yield from descendants(child)
