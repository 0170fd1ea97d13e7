"""Functions of every kind, each call of which is one of a monitor."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from otel_ml._calls import Call, Stream
from otel_ml._streams import relay, relaying

Begin = Callable[[tuple[Any, ...], dict[str, Any]], Call]


def wrapper_of(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """A function of the kind of `function`: plain, coroutine, generator or async generator."""
    if inspect.isasyncgenfunction(function):
        return relaying(lambda *args, **kwargs: (function(*args, **kwargs), Stream(_started(begin(args, kwargs)))))
    if inspect.isgeneratorfunction(function):

        def generating(*args: Any, **kwargs: Any) -> Any:
            stream = Stream(_started(begin(args, kwargs)))
            return (yield from relay(function(*args, **kwargs), stream))

        return generating
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004

        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            with begin(args, kwargs) as call:
                call.prediction = await function(*args, **kwargs)
            return call.answer

        return awaiting

    def calling(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as call:
            call.prediction = function(*args, **kwargs)
        return call.answer

    return calling


def standing_for(wrapper: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """`wrapper` with the name and signature of `function`, and the mark that it is ours."""
    functools.update_wrapper(wrapper, function).__otel_ml_wrapped__ = function  # type: ignore[attr-defined]
    return wrapper


def unwrapped(function: Any) -> Callable[..., Any]:
    """What our wrappers around a function or method call; one by somebody else, to which `functools.wraps` copied the mark, is kept."""
    marks = getattr(function, "__dict__", {})
    if "__otel_ml_wrapped__" not in marks or marks["__otel_ml_wrapped__"] is not marks.get("__wrapped__"):
        return function  # type: ignore[no-any-return]
    if inspect.ismethod(function):
        return partial(unwrapped(function.__func__), function.__self__)
    return unwrapped(function.__wrapped__)


def _started(call: Call) -> Call:
    """A call of a generator function; what runs between its pieces is the consumer's, so its span never is the current one."""
    call.start()
    return call
