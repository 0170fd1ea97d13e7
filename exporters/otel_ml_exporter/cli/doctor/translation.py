"""Whether the model's series are in Prometheus under other names than the rules ask for, and which setting makes them so."""

from __future__ import annotations

from typing import Final

from otel_ml import catalogue as names
from otel_ml_exporter.cli.doctor.links import Case, Finding, broken
from otel_ml_exporter.mixin.promql import MODEL

STRATEGY: Final = "UnderscoreEscapingWithSuffixes"
_GUIDE: Final = "docs/how-to/collector.md"
_INFO: Final = names.MODEL_INFO.prometheus
_UNTRANSLATED: Final = names.MODEL_INFO.name
_ROWS: Final = names.INFERENCE_ROWS.prometheus
_BARE_ROWS: Final = _ROWS.removesuffix("_total")


def renamed(case: Case) -> Finding | None:
    """A finding where the model reports under a prefix or under OpenTelemetry's own names; older servers know none of those."""
    dotted = _UNTRANSLATED.replace(".", "[.]")
    for sample in case.prometheus.vector(f'{{__name__=~".+_{_INFO}|{dotted}"}}'):
        name, labels = sample.labels["__name__"], sample.labels
        if case.model not in (labels.get(MODEL), labels.get(names.MODEL_NAME)):
            continue
        if name == _UNTRANSLATED:
            found = f"the model is there as {name}, with OpenTelemetry's names, which no rule uses"
            return broken(found, f"set translation_strategy: {STRATEGY} where Prometheus or the Collector takes the metrics in ({_GUIDE})")
        prefix = name.removesuffix(f"_{_INFO}")
        return broken(
            f"the model is there as {name}, with a prefix", f"remove `namespace: {prefix}` of the Collector's exporter ({_GUIDE})"
        )
    return None


def unsuffixed(case: Case) -> Finding | None:
    """A finding where counters came without their suffix."""
    if not case.prometheus.vector(f"group ({_BARE_ROWS}{{{case.matcher}}})"):
        return None
    mend = f"set translation_strategy: {STRATEGY}, or remove `add_metric_suffixes: false` of the Collector's exporter ({_GUIDE})"
    return broken(f"rows are counted as {_BARE_ROWS}, without _total; rules use names with suffixes", mend)
