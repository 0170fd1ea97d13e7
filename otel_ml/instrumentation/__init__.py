"""Watch the models of a framework without a change to the code that calls them: one OpenTelemetry instrumentor each.

`opentelemetry-instrument` finds them by their entry points; in code, `SklearnInstrumentor().instrument()` does the same.
Needs `pip install 'otel-ml[instrumentation]'`.
"""
