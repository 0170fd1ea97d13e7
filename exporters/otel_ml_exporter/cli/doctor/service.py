"""The first links: the process counts, Prometheus scrapes it, and the counts are whole."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from otel_ml import catalogue as names
from otel_ml_exporter.cli.doctor.links import Case, Finding, broken, look, ok, unchecked
from otel_ml_exporter.cli.doctor.translation import renamed, unsuffixed
from otel_ml_exporter.cli.models import listed
from otel_ml_exporter.cli.words import ago
from otel_ml_exporter.mixin.promql import MODEL, VERSION, merged
from otel_ml_exporter.prometheus import Target
from otel_ml_exporter.remote import RemoteError

_INFO = names.MODEL_INFO.prometheus
_WRAP = "wrap the model with otel_ml.monitor, and set up the OpenTelemetry SDK with a metric reader"


def endpoint(case: Case) -> Finding:
    """The service's own `/metrics` shows the model."""
    if case.target is None:
        return unchecked("give --target http://host:9464/metrics to look at the service itself")
    try:
        families = list(text_string_to_metric_families(case.target.text(case.target.url)))
    except ValueError as error:
        raise RemoteError(f"{case.target.host} answers without metrics ({error}); give the address of the service's /metrics") from error
    samples = [sample for family in families for sample in family.samples]
    models = {sample.labels.get(MODEL, "") for sample in samples if sample.name == _INFO}
    if case.model not in models:
        return broken(f"{case.target.host} shows {listed(models, case.model)}, not model {case.model}", _WRAP)
    return ok(f"{case.target.host} shows model {case.model}")


def scrape(case: Case) -> Finding:
    """The targets that showed the model within the last hour answer."""
    seen = case.prometheus.vector(f"group by (job, instance) (last_over_time({_INFO}{{{case.matcher}}}[1h]))")
    places = {(sample.labels.get("job"), sample.labels.get("instance")) for sample in seen}
    targets = case.prometheus.targets()
    own = [target for target in targets if (target.job, target.instance) in places]
    down = [target for target in (own or targets) if target.health == "down"]
    if down and (own or not seen):
        return broken(_told(down), "start it, or fix its address in scrape_configs; `curl` the address from Prometheus' machine")
    if own:
        return ok(f"{len(own)} of {len(own)} targets of the model answer, the last scrape {ago(min(t.scraped for t in own), case.now)}")
    if seen:
        return ok("the model's metrics are pushed; no scrape is involved")
    return look(f"{len(targets)} targets answer, but none has shown the model", "name the service in scrape_configs, or push over OTLP")


def arrival(case: Case) -> Finding:
    """Prometheus has the model's series now."""
    now = case.prometheus.vector(f"count by ({VERSION}) ({_INFO}{{{case.matcher}}})")
    if now:
        versions = ", ".join(f"version {sample.labels.get(VERSION, '')} ({sample.value:g})" for sample in now)
        return ok(f"series of {versions}")
    if case.prometheus.vector(f"group (last_over_time({_INFO}{{{case.matcher}}}[1d]))"):
        last = case.prometheus.number(f"max(max_over_time(timestamp({_INFO}{{{case.matcher}}})[1d:1m]))")
        when = "minutes ago" if last is None else ago(last, case.now)
        return broken(f"the last series of model {case.model} arrived {when}", "check the last deployment and the scrape")
    if finding := renamed(case):
        return finding
    models = {sample.labels.get(MODEL, "") for sample in case.prometheus.vector(f"group by ({MODEL}) ({_INFO})")}
    return broken(f"Prometheus knows {listed(models, case.model)}, not model {case.model}", f"check --model; {_WRAP}")


def calls(case: Case) -> Finding:
    """The model is called."""
    rows = case.prometheus.number(f"sum(increase({names.INFERENCE_ROWS.prometheus}{{{case.matcher}}}[15m]))")
    if rows:
        return ok(f"about {rows:.0f} rows in 15m")
    if finding := unsuffixed(case):
        return finding
    return look("no rows in 15m", "send a prediction; if it is not counted, the served function is not the monitored one")


def losses(case: Case) -> Finding:
    """The monitor counts all rows and has no faults."""
    lost = [
        (metric, sample.labels.get(attribute.replace(".", "_"), ""), sample.value)
        for metric, attribute in ((names.MONITOR_DROPPED, names.DROP_REASON), (names.MONITOR_ERRORS, names.ERROR_TYPE))
        for series in [f"{metric.prometheus}{{{case.matcher}}}"]
        for sample in case.prometheus.vector(
            f"sum by ({attribute.replace('.', '_')}) "
            f"(increase({series}[1h]) > 0 or ({series} unless last_over_time({series}[1h] offset 1h)) > 0)"
        )
    ]
    if not lost:
        return ok("nothing dropped and no error in 1h")
    told = ", ".join(f"{metric.prometheus} {reason} {count:.0f}" for metric, reason, count in lost)
    return look(f"in 1h: {told}", "find the warning that otel_ml logged once in the model server")


def budget(case: Case) -> Finding:
    """The SDK has room for all series."""
    overflowing = case.prometheus.vector(f"group by (__name__, job) ({merged()})")
    if overflowing:
        metrics = ", ".join(sorted({sample.labels.get("__name__", "") for sample in overflowing}))
        mend = "raise the cardinality limit of the metric reader or of a View, or declare fewer segments"
        return broken(f"the SDK merged series of {metrics} into one", mend)
    series = case.prometheus.number(f'count({{__name__=~"ml_.+", {case.matcher}}})') or 0
    return ok(f"{series:.0f} series, none merged")


def _told(targets: Iterable[Target]) -> str:
    return "; ".join(f"{target.job} {target.instance} is down: {target.error}" for target in targets)
