"""Whether the model is there: its replicas answer their scrapes, or it reports through a Collector that answers its own."""

from __future__ import annotations

from textwrap import indent
from typing import Final

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.mixin.groups.limits import limit, thresholds
from otel_ml_exporter.mixin.pack import RESTART, Alert, Recording, about_the_pack
from otel_ml_exporter.mixin.promql import MODEL, Queries
from otel_ml_exporter.mixin.wording import AGE, COUNT, PERCENT, label, listed, look_up, of, value

_SCRAPED: Final = 'exported_job=""'
_COLLECTED: Final = 'exported_job!=""'
"""Prometheus renames the `job` of a service that comes through a Collector, whose target has one of its own."""
_LAST_SEEN: Final = "model:ml_model_info:last_seen"
_SEEN: Final = "job_instance_model:ml_model_info:seen"
_REPLICA: Final = f"job, instance, {MODEL}"


def last_seen(queries: Queries) -> tuple[Recording, ...]:
    """When a model last reported, and how long its owner lets it be away."""
    seen = Recording(_LAST_SEEN, f"max by ({MODEL}) (timestamp({queries.series(names.MODEL_INFO)}))")
    return *thresholds(queries, names.SIGNAL_ABSENCE, 0, names.CRITICAL), seen


def presence(queries: Queries, category: str) -> tuple[Alert, ...]:
    """Down, away, unseen, or partly down."""
    return tuple(alert(queries, category) for alert in (_down, _absent, _unseen, _replicas_down))


def replicas(queries: Queries) -> Recording:
    """The replicas that served a model within a day; recorded, for it takes all samples of that day to tell."""
    info = f"{queries.series(names.MODEL_INFO, _SCRAPED)}[{queries.knobs.long_window}]"
    return Recording(_SEEN, f"group by ({_REPLICA}) (last_over_time({info}))")


def _replicas(queries: Queries) -> str:
    """Whether each replica that served the model lately answers its scrape."""
    seen = f"({_SEEN} or group by ({_REPLICA}) ({queries.series(names.MODEL_INFO, _SCRAPED)}))"
    return f"max by (job, instance) (up)\n    * on (job, instance) group_right ()\n      {seen}"


def _served_lately(queries: Queries) -> str:
    """The replicas of the alert's model."""
    return f"last_over_time({queries.series(names.MODEL_INFO, *of(MODEL), _SCRAPED)}[{queries.knobs.long_window}])"


def _configured(queries: Queries) -> str:
    return look_up(f"count(up and on (job, instance) {_served_lately(queries)})", MODEL, form=COUNT)


def _silent(queries: Queries) -> str:
    return listed(f"group by (instance) (up == 0 and on (job, instance) {_served_lately(queries)})", MODEL, by="instance")


def _down(queries: Queries, category: str) -> Alert:
    return Alert(
        name="ModelServiceDown",
        expr=f"sum by ({MODEL}) (\n    {_replicas(queries)}\n) == 0",
        hold="2m",
        keep=RESTART,
        severity=names.CRITICAL,
        category=category,
        summary="The model is down",
        description=(
            f"Model {label(MODEL)}: {value(COUNT)} of the {_configured(queries)} replicas that Prometheus scrapes "
            f"respond. Callers get no predictions. Not responding: {_silent(queries)}."
        ),
        action="Check the last deployment and the replicas' logs; roll back if the model was deployed in the last hour, otherwise restart.",
        dashboard="otel-ml-serving?model",
    )


def _cut_off(queries: Queries) -> str:
    """Models by the Collector that does not answer, or whose job has no target any more; one of many that is gone was replaced."""
    collected, knobs = queries.series(names.MODEL_INFO, _COLLECTED), queries.knobs
    down = f"last_over_time({collected}[{knobs.long_window}]) and on (job, instance) up == 0"
    return f"(\n    {down}\n  or\n    last_over_time({collected}[{knobs.absence_window}]) unless on (job) up\n)"


def _absent(queries: Queries, category: str) -> Alert:
    """Not behind a Collector that is down, which is told once; nor within the time that the owner lets the model be away.

    It is missed for as long after that time as any other model from the beginning.
    """
    info, knobs = queries.series(names.MODEL_INFO), queries.knobs
    window = knobs.absence_window
    last = f"time() - last_over_time({_LAST_SEEN}"
    away = f"{last}[{knobs.memory_window}])"
    since = look_up(f"{last}{{{', '.join(of(MODEL))}}}[{knobs.memory_window}])", MODEL, form=AGE)
    allowed = f"max by ({MODEL}) ({limit(names.SIGNAL_ABSENCE)})"
    lately = f"group by ({MODEL}) (last_over_time({info}[{window}]))"
    longer = f"group by ({MODEL}) ({away} < on ({MODEL}) {seconds(window):g} + {allowed})"
    return Alert(
        name="ModelMetricsAbsent",
        expr=(
            f"(\n    {lately}\n  or on ({MODEL})\n    {longer}\n)\nunless on ({MODEL})\n  group by ({MODEL}) ({info})\n"
            f"unless on ({MODEL}) {_cut_off(queries)}\nunless on ({MODEL}) (\n  {away} < on ({MODEL}) {allowed}\n)"
        ),
        hold="5m",
        keep=RESTART,
        severity=names.CRITICAL,
        category=category,
        summary="The model reports no metrics",
        description=(
            f"Model {label(MODEL)} has reported no metrics for {since}. "
            "It either runs unmonitored or does not run; no other alert about it can fire."
        ),
        action="Send the model server a prediction request: if it answers, fix the scrape or the Collector; if not, treat it as down.",
        dashboard="otel-ml-serving?model",
    )


def _unseen(queries: Queries, category: str) -> Alert:
    """Once for all models of a Collector, and only for those that nothing else reports."""
    lately = queries.series(names.MODEL_INFO, "job=%q", "instance=%q")
    reporting = f"unless on ({MODEL}) {queries.series(names.MODEL_INFO)}"
    unseen = f"group by (job, instance, {MODEL}) {_cut_off(queries)}"
    models = listed(f"group by ({MODEL}) (last_over_time({lately}[{queries.knobs.long_window}]) {reporting})", "job", "instance", by=MODEL)
    return Alert(
        name="ModelCollectorDown",
        expr=f"count by (job, instance) (\n{indent(unseen, '    ')}\n  {reporting}\n)",
        hold="5m",
        keep=RESTART,
        severity=names.CRITICAL,
        category=category,
        labels=about_the_pack(),
        summary="A Collector is down, so its models are unmonitored",
        description=(
            f"Collector {label('instance')} of job {label('job')} does not answer its scrape, and {value(COUNT)} models report "
            f"through no other: {models}. Whether they are serving is unknown; no other alert about them can fire."
        ),
        action="Restart the Collector or fix its scrape; until then check directly that the model servers answer.",
        dashboard="otel-ml-monitor",
    )


def _replicas_down(queries: Queries, category: str) -> Alert:
    """Not when all are: that is ModelServiceDown."""
    least = queries.knobs.replicas_ratio
    return Alert(
        name="ModelReplicasDown",
        expr=f"(\n  avg by ({MODEL}) (\n    {_replicas(queries)}\n  ) < {least}\n) > 0",
        hold="5m",
        keep=RESTART,
        severity=names.WARNING,
        category=category,
        summary="Replicas of the model are down",
        description=(
            f"Only {value(PERCENT)} of the {_configured(queries)} replicas of model {label(MODEL)} respond to their "
            f"scrape (limit {least:.0%}). Not responding: {_silent(queries)}. The others carry their load."
        ),
        action="Restart those replicas before the others fail too; if they die again, check their memory and look for a bad input.",
        dashboard="otel-ml-serving?model",
    )
