"""The monitor itself: whether the other alerts can be trusted."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.mixin.groups.limits import or_default
from otel_ml_exporter.mixin.groups.serving import WITHIN, objective, spelled
from otel_ml_exporter.mixin.groups.verdicts import both, past, served
from otel_ml_exporter.mixin.pack import PROBLEM, RESTART, WATCHDOG, Alert, Group, about_the_pack
from otel_ml_exporter.mixin.promql import FEATURE, MODEL, MODEL_VERSION, VERSION, Queries
from otel_ml_exporter.mixin.wording import AGE, COUNT, MODEL_AND_VERSION, PERCENT, SCORE, SUBJECT, label, look_up, of, top_three, value

CATEGORY = "monitor"


def monitor(queries: Queries) -> Group:
    """The monitor itself, without which no other alert can be trusted."""
    of_models = (_baseline, _old, _dropped, _errors, _mismatch, _objective)
    of_pack = (_overflow, _stale, _failed, _source, _unusable, _refused, _turned_away, _full, _unevaluated)
    alerts = tuple(alert(queries) for alert in (*of_models, *of_pack))
    return Group(CATEGORY, "Can the other alerts be trusted?", ((_watchdog(),) if queries.knobs.watchdog else ()) + alerts)


def _watchdog() -> Alert:
    return Alert(
        name=WATCHDOG,
        expr="vector(1)",
        severity="none",
        category=CATEGORY,
        labels=about_the_pack(),
        summary="Alerting works",
        description="This alert always fires. When it stops reaching the dead man's switch, no other alert gets through either.",
        action="None while it arrives; when it stops, check the path from Prometheus through Alertmanager to the switch.",
        dashboard="otel-ml-monitor",
    )


def _baseline(queries: Queries) -> Alert:
    """Not while the exporter that has it is down, beside others that are up: one alert says so, not one for each of its models."""
    served = f"group by ({MODEL_VERSION}) ({queries.series(names.MODEL_INFO)})"
    loaded = queries.series(names.BASELINE_INFO)
    down = f"last_over_time({loaded}[{queries.knobs.long_window}]) and on (job, instance) up == 0"
    exporter = f"group ({queries.series(names.EXPORTER_LAST_EVALUATION)})"
    since = f"count(group by ({MODEL_VERSION}) ({queries.series(names.BASELINE_INFO, *of(MODEL))}))"
    return Alert(
        name="ModelBaselineMissing",
        expr=f"{served}\nunless on ({MODEL_VERSION}) (\n    {loaded}\n  or\n    {down}\n)\nand on ()\n  {exporter}",
        hold="15m",
        keep=RESTART,
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model is served without a baseline",
        description=(
            f"Version {label(VERSION)} of model {label(MODEL)} is serving, but the exporter has no baseline for it "
            f"(versions of the model with a baseline: {look_up(since, MODEL, form=COUNT)}). "
            "Drift and prediction shift of this version go undetected."
        ),
        action="Give the exporter the baseline file that was saved with this version; if the training job saved none, build one.",
        dashboard="otel-ml-drift?model&version",
    )


def _old(queries: Queries) -> Alert:
    model = (MODEL, VERSION)
    age = f"(time() - max by ({MODEL_VERSION}) ({queries.series(names.BASELINE_CREATED)}))"
    limit = queries.limit(names.SIGNAL_BASELINE_AGE, names.WARNING)
    shown = queries.limit(names.SIGNAL_BASELINE_AGE, names.WARNING, *of(*model))
    features = queries.windowed(names.FEATURE_PSI, queries.knobs.short_window, *of(*model))
    return Alert(
        name="ModelBaselineStale",
        expr=both(past(age, ">", limit), served(queries)),
        hold="1h",
        keep=RESTART,
        severity=names.WARNING,
        category=CATEGORY,
        summary="The baseline of the model is old",
        description=(
            f"The baseline of {MODEL_AND_VERSION} was made {value(AGE)} ago (limit "
            f"{look_up(shown, *model, form=AGE)}). What it calls normal may be out of date. "
            f"Features that moved most, by PSI: {top_three(f'max by ({FEATURE}) ({features})', *model, by=FEATURE, form=SCORE)}."
        ),
        action="Build a baseline from recent, labelled data and read `otel-ml baseline diff OLD NEW` before it replaces the old one.",
        dashboard="otel-ml-drift?model&version",
    )


def _overflow(queries: Queries) -> Alert:
    return Alert(
        name="ModelSeriesOverflow",
        expr=f"count by (job) (\n    group by (job, __name__) ({queries.merged()})\n)",
        hold="10m",
        severity=names.WARNING,
        category=CATEGORY,
        labels=about_the_pack(),
        summary="A model server has more time series than its SDK allows",
        description=(
            f"{value(COUNT)} metrics of job {label('job')} have an overflow series, which names no model (limit 0): OpenTelemetry merged "
            "all time series beyond its limit, by default 2,000. The counts of the merged bins are missing from every score."
        ),
        action="Raise the cardinality limit of the metric reader or of a View, or declare fewer segments.",
        dashboard="otel-ml-monitor",
    )


def _problem(problem: str, *, expr: str, summary: str, description: str, action: str, of_pack: bool = False, keep: str = "0s") -> Alert:
    """One way in which the monitor is unhealthy; what belongs to no model carries the label of all."""
    return Alert(
        name="ModelMonitorUnhealthy",
        expr=expr,
        hold="10m",
        keep=keep,
        severity=names.WARNING,
        category=CATEGORY,
        labels={**(about_the_pack() if of_pack else {}), PROBLEM: problem},
        summary=summary,
        description=description,
        action=action,
        dashboard="otel-ml-monitor" if of_pack else "otel-ml-monitor?model&version",
    )


def _increase(queries: Queries, metric: Metric) -> str:
    return f"sum by ({MODEL_VERSION}) (increase({queries.series(metric)}[{queries.knobs.short_window}]))"


def _dropped(queries: Queries) -> Alert:
    knobs = queries.knobs
    dropped, rows = _increase(queries, names.MONITOR_DROPPED), _increase(queries, names.INFERENCE_ROWS)
    counted = f"sum(increase({queries.series(names.INFERENCE_ROWS, *of(MODEL, VERSION))}[{knobs.short_window}]))"
    return _problem(
        "rows_dropped",
        expr=(
            f"(\n    {dropped}\n  / on ({MODEL_VERSION})\n    ({dropped} + on ({MODEL_VERSION}) {rows})\n) > {knobs.dropped_ratio}\n"
            f"and on ({MODEL_VERSION})\n  {dropped} + on ({MODEL_VERSION}) {rows} >= {knobs.minimum_samples}"
        ),
        summary="The model's monitor is dropping rows",
        description=(
            f"The monitor of {MODEL_AND_VERSION} left {value(PERCENT)} of the rows over {knobs.short_window} "
            f"uncounted (limit {100 * knobs.dropped_ratio:g}%; {look_up(counted, MODEL, VERSION, form=COUNT)} rows counted). "
            "Its scores cover only the rest."
        ),
        action="Find the warning that otel_ml logged once in the model server: it names the input or output that cannot be counted.",
    )


def _errors(queries: Queries) -> Alert:
    """A kind of fault has no series before its first, which no increase tells of; one that was seen before a gap is none."""
    window, errors = queries.knobs.short_window, queries.series(names.MONITOR_ERRORS)
    first = f"({errors} unless last_over_time({errors}[{window}] offset {window})) > 0"
    return _problem(
        "monitor_errors",
        expr=f"sum by ({MODEL_VERSION}) (\n    increase({errors}[{window}]) > 0\n  or\n    {first}\n)",
        summary="The model's monitor has internal errors",
        description=(
            f"{value(COUNT)} internal errors in the monitor of {MODEL_AND_VERSION} over {window} (limit 0). "
            "Predictions are not affected; counts may be incomplete."
        ),
        action="Find the warning that otel_ml logged once in the model server and report it with its traceback.",
    )


def _mismatch(queries: Queries) -> Alert:
    mismatches = queries.series(names.EXPORTER_BASELINE_MISMATCHES)
    return _problem(
        "baseline_mismatch",
        expr=f"max by ({MODEL_VERSION}) ({mismatches}) > 0",
        keep=RESTART,
        summary="The model server and the exporter have different baselines",
        description=(
            f"{SUBJECT} is served with {value(COUNT)} baseline that the exporter has not loaded "
            "(limit 0). Counts in different bins cannot be compared, so drift scores leave out what it counts with that one."
        ),
        action="Give the exporter the baseline file that the model server loaded; compare fingerprints with `otel-ml baseline show`.",
    )


def _objective(queries: Queries) -> Alert:
    buckets = queries.series(names.INFERENCE_DURATION, suffix="_bucket")
    known = queries.limit(names.SIGNAL_LATENCY, names.CRITICAL)
    asked = objective(or_default(queries, known, queries.knobs.latency_objective))
    found = f"{spelled(asked)}\n    and on ({MODEL_VERSION}, {WITHIN})\n      {buckets}"
    calls = queries.series(names.INFERENCE_DURATION, suffix="_count")
    shown = queries.series(names.INFERENCE_DURATION, *of(MODEL, VERSION), suffix="_bucket")
    return _problem(
        "latency_objective",
        keep=RESTART,
        expr=f"{asked}\nunless on ({MODEL_VERSION}) (\n      {found}\n)\nand on ({MODEL_VERSION})\n  {calls}",
        summary="The model's latency objective cannot be checked",
        description=(
            f"{SUBJECT} should answer within {label(WITHIN)} seconds, which is not a bucket bound of its "
            f"duration histogram ({look_up(f'count(count by ({WITHIN}) ({shown}))', MODEL, VERSION, form=COUNT)} bounds). "
            "ModelLatencyBudgetBurn cannot fire."
        ),
        action="Set the objective to a bucket bound of ml_inference_duration_seconds, or add that bound to the histogram with a View.",
    )


def _stale(queries: Queries) -> Alert:
    """Each exporter that is still a target, for others may watch other models; and a job whose exporters are gone altogether.

    A target that is gone while others of its job evaluate was replaced.
    """
    knobs = queries.knobs
    last = f"last_over_time({queries.series(names.EXPORTER_LAST_EVALUATION)}[{knobs.memory_window}])"
    limit = f"> {seconds(knobs.stale_after):g}"
    return _problem(
        "exporter_stale",
        expr=(
            f"time() - max by (job, instance) ({last} and on (job, instance) up) {limit}\n"
            f"or on (job)\n  time() - max by (job) ({last}) {limit}"
        ),
        summary="The exporter has stopped evaluating",
        description=(
            f"The last evaluation of the exporter {label('instance')} of job {label('job')} ended {value(AGE)} ago "
            f"(limit {knobs.stale_after}). "
            "Drift, prediction shift and calibration of its models go undetected; alerts on them resolve although nothing is fixed."
        ),
        action="Check that the exporter runs and is scraped, then read its log.",
        of_pack=True,
    )


def _failed(queries: Queries) -> Alert:
    window = queries.knobs.rate_window
    return _problem(
        "evaluation_errors",
        expr=f"sum(increase({queries.series(names.EXPORTER_EVALUATION_ERRORS)}[{window}])) > 0",
        summary="The exporter's evaluations are failing",
        description=f"{value(COUNT)} evaluations failed over {window} (limit 0). Scores may be out of date.",
        action="Read the exporter's log: it names the model and the reason.",
        of_pack=True,
    )


def _source(queries: Queries) -> Alert:
    return _problem(
        "source_down",
        expr=f"max by ({names.SOURCE}) ({queries.series(names.EXPORTER_SOURCE_UP)}) == 0",
        keep=RESTART,
        summary="The exporter cannot read its source of counts",
        description=f"The source of counts {label(names.SOURCE)} does not answer any replica of the exporter. No new scores are computed.",
        action="Query the source from the exporter's machine, at the address in its configuration; then read the exporter's log.",
        of_pack=True,
    )


def _unusable(queries: Queries) -> Alert:
    return _problem(
        "baseline_unusable",
        expr=f"max by ({names.FILE}) ({queries.series(names.EXPORTER_BASELINE_MISSING)}) > 0",
        keep=RESTART,
        summary="The exporter cannot use a baseline",
        description=f"The baseline file {label(names.FILE)} of the exporter's configuration cannot be used. Its model has no scores.",
        action="Run `otel-ml baseline validate` on the file where the exporter runs; it says what to fix.",
        of_pack=True,
    )


def _refused(queries: Queries) -> Alert:
    window, reason = queries.knobs.short_window, prometheus(names.DROP_REASON)
    return _problem(
        "points_dropped",
        expr=f"sum by ({reason}) (increase({queries.series(names.EXPORTER_POINTS_DROPPED)}[{window}])) > 0",
        summary="The exporter drops data points that it receives",
        description=(
            f"The exporter dropped {value(COUNT)} data points over {window} (limit 0): {label(reason)}. Its scores cover only the rest."
        ),
        action="Find in the exporter's log what was dropped; its limits can be raised in its configuration.",
        of_pack=True,
    )


def _turned_away(queries: Queries) -> Alert:
    window, reason = queries.knobs.short_window, prometheus(names.DROP_REASON)
    return _problem(
        "requests_refused",
        expr=f"sum by ({reason}) (increase({queries.series(names.EXPORTER_REQUESTS_REFUSED)}[{window}])) > 0",
        summary="The exporter refuses predictions or outcomes",
        description=(
            f"The exporter refused {value(COUNT)} requests over {window} (limit 0): {label(reason)}. "
            "What the senders do not send again is missing from the quality scores."
        ),
        action="Find the exporter's answer in the sender's log; make room, raise the limit that it names, or give the sender a token.",
        of_pack=True,
    )


def _full(queries: Queries) -> Alert:
    """Of each exporter, whose limits may differ."""
    rows, most = (queries.series(metric) for metric in (names.EXPORTER_STORE_ROWS, names.EXPORTER_STORE_LIMIT))
    held = look_up(f"max({queries.series(names.EXPORTER_STORE_ROWS, *of('job', 'instance'))})", "job", "instance", form=COUNT)
    return _problem(
        "store_full",
        expr=f"max by (job, instance) ({rows} / {most}) > {queries.knobs.store_ratio}",
        keep=RESTART,
        summary="The exporter's store is nearly full",
        description=(
            f"The store of exporter {label('instance')} of job {label('job')} holds {held} predictions and outcomes, "
            f"{value(PERCENT)} of its capacity (limit {queries.knobs.store_ratio:.0%}). When it is full, the exporter refuses more."
        ),
        action="Keep data for less time (`retention`), send a sample of the predictions, or raise `limits.stored` if the disk has room.",
        of_pack=True,
    )


def _unevaluated(queries: Queries) -> Alert:
    """Needs a Prometheus that scrapes itself; another must watch the group that this rule is in."""
    window = queries.knobs.short_window

    def increase(metric: str) -> str:
        return f'sum by (rule_group) (increase({metric}{{rule_group=~".*;otel-ml-.*"}}[{window}])) > 0'

    failed, missed = (increase(f"prometheus_rule_{what}_total") for what in ("evaluation_failures", "group_iterations_missed"))
    return _problem(
        "rule_failures",
        expr=f"{failed}\nor on (rule_group)\n  {missed}",
        summary="Rules of the pack fail or are skipped",
        description=(
            f"Prometheus failed to evaluate, or had no time for, rules of group {label('rule_group')} {value(COUNT)} times over "
            f"{window} (limit 0). Alerts of the group may not fire, and sums over its recording rules have gaps."
        ),
        action="Read the error beside the rule on Prometheus' rules page; if evaluations are skipped, give Prometheus more CPU.",
        of_pack=True,
    )
