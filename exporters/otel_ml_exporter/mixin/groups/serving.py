"""Serving: whether the model is there and answers."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.shares import Share
from otel_ml_exporter.mixin.pack import Alert, Group, Recording
from otel_ml_exporter.mixin.promql import ERROR, MODEL, MODEL_VERSION, VERSION, Queries
from otel_ml_exporter.mixin.wording import COUNT, NUMBER, PERCENT, label, look_up, of, top_three, value

CATEGORY = "serving"
FAILED = f'{ERROR}!=""'


def serving(queries: Queries) -> Group:
    """The serving of the model: that it is there, and that it answers."""
    errors = _errors(queries)
    recordings = [errors.threshold()]
    for window in queries.knobs.rate_windows:
        recordings += _calls(errors, window)
    return Group(CATEGORY, "Is the model there, and does it answer?", (*recordings, _down(queries), _absent(queries), _failing(errors)))


def _errors(queries: Queries) -> Share:
    return Share(
        level="model_version",
        by=MODEL_VERSION,
        part="ml_inference_errors",
        whole="ml_inference_calls",
        signal=names.SIGNAL_ERROR_RATIO,
        default=queries.knobs.error_ratio,
        minimum=queries.knobs.minimum_calls,
        queries=queries,
    )


def _calls(errors: Share, window: str) -> tuple[Recording, Recording]:
    def increase(*matchers: str) -> str:
        counter = errors.queries.series(names.INFERENCE_DURATION, *matchers, suffix="_count")
        return f"sum by ({MODEL_VERSION}) (increase({counter}[{window}]))"

    return errors.recordings(window, part=increase(FAILED), whole=increase())


def _replicas(queries: Queries) -> str:
    """Whether each replica that served the model lately answers its scrape."""
    seen = f"last_over_time({queries.series(names.MODEL_INFO)}[{queries.knobs.long_window}])"
    return f"max by (job, instance) (up)\n    * on (job, instance) group_right ()\n      group by (job, instance, {MODEL}) ({seen})"


def _down(queries: Queries) -> Alert:
    known = queries.series(names.MODEL_INFO, *of(MODEL))
    configured = f"count(up and on (job, instance) last_over_time({known}[{queries.knobs.long_window}]))"
    return Alert(
        name="ModelServiceDown",
        expr=f"sum by ({MODEL}) (\n    {_replicas(queries)}\n) == 0",
        hold="2m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary=f"Model {label(MODEL)} is down",
        description=(
            f"Model {label(MODEL)}: {value(COUNT)} of {look_up(configured, MODEL, form=COUNT)} replicas that Prometheus scrapes answer. "
            "Callers get no predictions."
        ),
        action="Look at the last deployment and the replicas' logs; roll back if the model was deployed in the last hour, else restart.",
        dashboard="otel-ml-overview?model",
    )


def _absent(queries: Queries) -> Alert:
    info = queries.series(names.MODEL_INFO)
    window = queries.knobs.absence_window
    return Alert(
        name="ModelMetricsAbsent",
        expr=f"group by ({MODEL}) (last_over_time({info}[{window}]))\nunless on ({MODEL})\n  group by ({MODEL}) ({info})",
        hold="5m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary=f"Model {label(MODEL)} reports nothing",
        description=(
            f"Model {label(MODEL)} reported within the last {window} and reports no metrics now. "
            "Either it runs unseen, or it does not run; no other alert about it can fire."
        ),
        action="Ask the model server itself for a prediction: if it answers, mend the scrape or the Collector; if not, treat it as down.",
        dashboard="otel-ml-overview?model",
    )


def _failing(errors: Share) -> Alert:
    queries = errors.queries
    fast, slow = queries.knobs.rate_window, queries.knobs.short_window
    model = of(MODEL, VERSION)
    calls = f"{errors.count(slow)}{{{', '.join(model)}}}"
    limit = f"{errors.limit}{{{', '.join(model)}}}"
    kinds = queries.series(names.INFERENCE_DURATION, *model, FAILED, suffix="_count")
    top = top_three(f"sum by ({ERROR}) (rate({kinds}[{fast}]))", MODEL, VERSION, by=ERROR, form=NUMBER)
    return Alert(
        name="ModelErrorRatioHigh",
        expr=errors.exceeded(),
        hold="2m",
        keep="5m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary=f"Model {label(MODEL)} fails calls",
        description=(
            f"Model {label(MODEL)} version {label(VERSION)} failed {value(PERCENT)} of its calls over {fast} "
            f"(limit {look_up(limit, MODEL, VERSION, form=PERCENT)}; {look_up(calls, MODEL, VERSION, form=COUNT)} calls in {slow}). "
            f"Errors a second: {top}."
        ),
        action="Read the most frequent error in the logs; roll back if it began with a deployment, else switch to the fallback.",
        dashboard="otel-ml-overview?model&version",
    )
