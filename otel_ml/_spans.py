"""Traces, on request: what was predicted on the span of the request, or on a span of the call's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from opentelemetry import context
from opentelemetry.trace import Span, Status, StatusCode, TracerProvider, get_current_span, get_tracer, set_span_in_context

from otel_ml import catalogue as names
from otel_ml._guard import error_type
from otel_ml._version import __version__

Mode = Literal["current", "own"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Spans:
    """The spans of one model's calls."""

    def __init__(self, mode: Mode, identity: Mapping[str, str], provider: TracerProvider | None) -> None:
        self._own = mode == "own"
        self._attributes = dict(identity)
        self._name = f"predict {identity[names.MODEL_NAME]}"
        self._tracer = get_tracer(names.SCOPE, __version__, provider, schema_url=names.SCHEMA_URL)

    def begin(self) -> Span:
        """The span of a call that begins."""
        return self._tracer.start_span(self._name, attributes=self._attributes) if self._own else get_current_span()

    def enter(self, span: Span) -> object:
        """Make a span of its own the current one; what `leave` needs."""
        return context.attach(set_span_in_context(span)) if self._own else None

    def around(self, span: Span) -> Span | None:
        """The span in which the pieces of a stream are made; None where it is none of its own."""
        return span if self._own else None

    def leave(self, token: Any) -> None:
        """Make the span current again that was it before."""
        if token is not None:
            context.detach(token)

    def end(self, span: Span, meaning: Mapping[str, Any], error: BaseException | None) -> None:
        """Say on the span what was predicted, or why nothing was."""
        if span.is_recording():
            span.set_attributes({**self._attributes, **meaning})
            if self._own and error is not None:
                span.set_attribute(names.ERROR_TYPE, error_type(error))
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR))
        if self._own:
            span.end()
