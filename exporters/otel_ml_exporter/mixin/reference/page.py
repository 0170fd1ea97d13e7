"""The reference page: tables of the catalogue inside the hand-written `metrics.md` beside this file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from otel_ml.catalogue import ATTRIBUTES, EVENTS, EXPORTER_METRICS, PLUGIN_METRICS, SCHEMA_URL, Attribute, Event, Metric, prometheus
from otel_ml_exporter.mixin.yaml_text import MARK


def page() -> str:
    """The page as Markdown."""
    prose = Path(__file__).with_name("metrics.md").read_text(encoding="utf-8")
    return f"<!-- {MARK} -->\n" + Template(prose).substitute(
        schema_url=SCHEMA_URL,
        plugin=_table(("OpenTelemetry", "Prometheus", "instrument, unit", "attributes", "meaning"), map(_plugin_row, PLUGIN_METRICS)),
        events=_table(("event", "attributes", "meaning"), map(_event_row, EVENTS)),
        exporter=_table(("metric", "labels", "meaning"), map(_exporter_row, EXPORTER_METRICS)),
        attributes=_table(("attribute", "label", "meaning"), map(_attribute_row, ATTRIBUTES)),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _plugin_row(metric: Metric) -> Sequence[str]:
    kind = f"{metric.instrument}, `{metric.unit}`"
    return f"`{metric.name}`", f"`{metric.prometheus}`", kind, _named(metric, metric.attributes), metric.brief


def _event_row(event: Event) -> Sequence[str]:
    return f"`{event.name}`", _named(event, event.attributes), event.brief


def _exporter_row(metric: Metric) -> Sequence[str]:
    return f"`{metric.prometheus}`", _named(metric, metric.labels) or "none", metric.brief


def _attribute_row(attribute: Attribute) -> Sequence[str]:
    values = " ".join(f"`{value}`: {brief}" for value, brief in attribute.values.items())
    examples = "For example " + ", ".join(f"`{example}`" for example in attribute.examples) + "." if attribute.examples else ""
    return f"`{attribute.name}`", f"`{prometheus(attribute.name)}`", " ".join(filter(None, (attribute.brief, values, examples)))


def _named(owner: Metric | Event, shown: Sequence[str]) -> str:
    """The attributes or labels of a metric or event, the conditional ones in brackets."""
    conditional = dict(owner.conditions)
    return ", ".join(f"[`{text}`]" if name in conditional else f"`{text}`" for name, text in zip(owner.attributes, shown, strict=True))
