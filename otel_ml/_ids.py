"""The ids under which predictions are sent as events, so that outcomes find them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from opentelemetry.trace import get_current_span

from otel_ml._forks import renew_in_children
from otel_ml._values import is_missing
from otel_ml.errors import ConfigurationError, Fault

TRACE = "trace"
Given = str | Sequence[Any] | None
"""The ids of a call: one text, one a row, or None where they are to be generated."""

_current: ContextVar[tuple[str, ...]] = ContextVar("otel_ml_prediction_ids", default=())


def current_prediction_ids() -> tuple[str, ...]:
    """The ids of the last call, in this thread or task, of a model that sends events, one a row; empty where it has none.

    A call that raises, or whose answer or ids cannot be read, has none.
    Every row has one, whether or not it was in the sample. Return them to your caller, who then reports outcomes under them.
    """
    return _current.get()


def announce(ids: Sequence[str]) -> None:
    """Let the caller of the model see its ids."""
    _current.set(tuple(ids))


class _Fresh:
    """New ids of 128 random bits, read many at a time; a forked child throws away those of its parent."""

    def __init__(self) -> None:
        renew_in_children(self)

    def renew(self) -> None:
        """Have none in store."""
        self._stored: list[str] = []

    def __call__(self) -> str:
        try:
            return self._stored.pop()
        except IndexError:
            digits = os.urandom(16 * _AT_ONCE).hex()
            self._stored += [digits[start : start + 32] for start in range(32, len(digits), 32)]
            return digits[:32]


_AT_ONCE = 256
new_id = _Fresh()


def ids_of(given: Given, rows: int) -> list[str]:
    """An id for each row: those given (one text for several rows is numbered), or new ones, also for what is missing among those given.

    Raises `ValueError` for another number.
    """
    if given is None:
        return [new_id() for _ in range(rows)]
    if isinstance(given, str) or not hasattr(given, "__len__"):
        return [str(given)] if rows == 1 else [f"{given}-{row}" for row in range(rows)]
    if len(given) != rows:
        raise ValueError(f"{len(given)} prediction_ids for {rows} predictions; give one for each")
    return [new_id() if is_missing(one) else str(one) for one in given]


def ids_at(given: Given, first: int, rows: int, of: int) -> Given:
    """Those of a piece of an answer for `of` rows that is for `rows` of them, from the `first` on; a text is numbered as in one answer.

    >>> ids_at("order", 1, 1, of=3), ids_at(["a", "b", "c"], 1, 2, of=3), ids_at("chat", 0, 1, of=1), ids_at("chat", 1, 1, of=1)
    (['order-1'], ['b', 'c'], 'chat', ['chat-1'])
    """
    if given is None or (of == rows == 1 and first == 0):
        return given
    if isinstance(given, str) or not hasattr(given, "__len__"):
        return [f"{given}-{row}" for row in range(first, first + rows)]
    return given[first : first + rows]


def of_trace() -> str | None:
    """The ids of the current trace and span in one; None outside a trace."""
    context = get_current_span().get_span_context()
    return f"{context.trace_id:032x}-{context.span_id:016x}" if context.is_valid else None


Source = str | Callable[..., Any]
IdPicker = Callable[[tuple[Any, ...], dict[str, Any]], Given]


def id_picker(source: Source | None, function: Callable[..., Any]) -> IdPicker | None:
    """From a call's arguments to its ids; None where they are not among them. Raises `ConfigurationError` for an unknown parameter."""
    if source is None or source == TRACE:
        return None
    if callable(source):
        return lambda args, kwargs: source(*args, **kwargs)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]
    if source not in parameters and not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        mend = f"give {TRACE!r}, a function of the arguments, or one of {', '.join(parameters)}"
        raise ConfigurationError("the monitor", [Fault("prediction_ids", f"are {source!r}, which is no parameter", mend)])
    index = list(parameters).index(source) if source in parameters else None

    def pick(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
        given: Given = args[index] if index is not None and index < len(args) else kwargs.get(source)
        return given

    return pick
