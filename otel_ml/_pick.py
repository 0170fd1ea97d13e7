"""From a call's arguments to the model's input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from otel_ml.errors import ConfigurationError, Fault

Inputs = str | Sequence[str] | Callable[..., Any]
Picker = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def input_picker(function: Callable[..., Any], inputs: Inputs | None) -> Picker:
    """What reads the input of `function` from the arguments of a call: its first after the object of a method, or what `inputs` says.

    One name picks that argument, several a mapping of them; a function is given all arguments. Raises `ConfigurationError` for a
    name that is no parameter.
    """
    parameters = _parameters(function)
    if inputs is None:
        return _first_argument(function, parameters)
    if callable(inputs):
        return lambda args, kwargs: inputs(*args, **kwargs)
    places = {parameter.name: (parameter, index) for index, parameter in enumerate(parameters)}
    wanted = [inputs] if isinstance(inputs, str) else list(inputs)
    more = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    unknown = [name for name in wanted if name not in places]
    if unknown and not more:
        known = ", ".join(places) or "none"
        raise ConfigurationError("the monitor", [Fault("inputs", f"{name!r} is no parameter", f"it has {known}") for name in unknown])
    pickers = {name: _argument(*places[name]) if name in places else _keyword(name) for name in wanted}
    if isinstance(inputs, str):
        return pickers[inputs]
    return lambda args, kwargs: {name: pick(args, kwargs) for name, pick in pickers.items()}


def _first_argument(function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> Picker:
    """The first argument, or the second where the first is `self` or `cls`, or by whatever name an object of the class around it."""
    of_object = bool(parameters) and parameters[0].name in ("self", "cls")
    first, second = (_argument(parameters[place] if len(parameters) > place else None, place) for place in (0, 1))
    around = function.__qualname__.rpartition(".")[0] if inspect.isfunction(function) else ""
    if of_object or len(parameters) < 2 or around.endswith("<locals>") or not around:
        return second if of_object else first
    return lambda args, kwargs: (second if args and _is_of(around, args[0]) else first)(args, kwargs)


def _is_of(name: str, given: Any) -> bool:
    """Whether something is of a class of this qualified name, or such a class itself."""
    return any(kind.__qualname__ == name for kind in (given if isinstance(given, type) else type(given)).__mro__)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _argument(parameter: inspect.Parameter | None, index: int) -> Picker:
    """One argument by position or name, its default where it was not given; of `*args, **kwargs` the only keyword may be it."""
    name = "" if parameter is None else parameter.name
    default = None if parameter is None or parameter.default is inspect.Parameter.empty else parameter.default
    if parameter is not None and parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return _keyword(name, default)
    if parameter is not None and parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return lambda args, kwargs: args[index] if len(args) > index else next(iter(kwargs.values())) if len(kwargs) == 1 else None

    def pick(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[index] if len(args) > index else kwargs.get(name, default)

    return pick


def _keyword(name: str, default: Any = None) -> Picker:
    return lambda _, kwargs: kwargs.get(name, default)
