"""Which models are at work: a call of a model inside one of the same is part of it, and to an instrumentor every call inside one is.

They are a list in a context variable. So each thread and task has its own, tasks that a call starts inherit it, and since the list is
emptied when its call ends, a task that outlives the call is inside it no more. Values are set back rather than reset, because a
coroutine may be closed in another context than it began in.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from opentelemetry import context
from opentelemetry.trace import Span, get_current_span, set_span_in_context


@dataclass(frozen=True)
class Model:
    """Name, version and role of a model; and whether who watches it there rejects inputs and withholds answers, which is done once."""

    name: str
    version: str
    role: str
    rejects: bool = field(default=False, compare=False)
    abstains: bool = field(default=False, compare=False)


Models = Sequence[Model]

_models: ContextVar[Models] = ContextVar("otel_ml_at_work", default=())

models_at_work: Final = _models.get
set_at_work: Final = _models.set


class AtWork:
    """A context, to be entered again and again, in which a model is at work besides those that are when this is made.

    A `span` of the call's own is the current one inside.
    """

    def __init__(self, model: Model, span: Span | None = None) -> None:
        self._models = [*models_at_work(), model]
        self._before: Models = ()
        self._span = span
        self._outside = context.Context()

    def __enter__(self) -> None:
        self._before = models_at_work()
        set_at_work(self._models)
        if self._span is not None:
            self._outside = context.get_current()
            context.attach(set_span_in_context(self._span))

    def __exit__(self, *_: object) -> None:
        set_at_work(self._before)
        if self._span is not None and get_current_span() is self._span:
            context.attach(self._outside)

    def end(self) -> None:
        """Nobody is inside any more, wherever the list was inherited."""
        self._models.clear()
