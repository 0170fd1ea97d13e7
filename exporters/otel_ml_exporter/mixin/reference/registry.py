"""The catalogue as a registry in the form of OpenTelemetry's semantic conventions, which its tool `weaver` reads.

Source of the form: github.com/open-telemetry/weaver, `schemas/semconv-syntax.md` and `docs/define-your-own-telemetry-schema.md`.
"""

from __future__ import annotations

from typing import Any, Final

from otel_ml.catalogue import ATTRIBUTES, EVENTS, EXPORTER_METRICS, PLUGIN_METRICS, SCHEMA_URL, Attribute, Event, Metric

_STABILITY: Final = {"stability": "development"}


def registry() -> dict[str, tuple[str, Any]]:
    """A brief and the content of each file of the registry, by the file's name."""
    manifest = {
        "name": "otel-ml",
        "description": "What otel-ml says about machine-learning models in production.",
        "schema_url": SCHEMA_URL,
    }
    attributes = {
        "id": "registry.otel_ml",
        "type": "attribute_group",
        "brief": "All attributes of otel-ml.",
        "attributes": [_attribute(entry) for entry in ATTRIBUTES],
    }
    return {
        "manifest": ("The registry of otel-ml; check it with `weaver registry check -r .`.", manifest),
        "attributes": ("What distinguishes series and what events carry.", {"groups": [attributes]}),
        "plugin": ("What the plugin emits.", {"groups": [_metric(entry) for entry in PLUGIN_METRICS]}),
        "events": ("Log records, opt-in.", {"groups": [_event(entry) for entry in EVENTS]}),
        "exporter": ("What the exporter publishes for Prometheus.", {"groups": [_metric(entry) for entry in EXPORTER_METRICS]}),
    }


def _attribute(attribute: Attribute) -> dict[str, Any]:
    members = [{"id": value.replace(".", "_"), "value": value, "brief": brief, **_STABILITY} for value, brief in attribute.values.items()]
    return {
        "id": attribute.name,
        "type": {"members": members} if members else attribute.type,
        "brief": attribute.brief,
        **({"examples": list(attribute.examples)} if attribute.examples else {}),
        **_STABILITY,
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "id": f"metric.{metric.name}",
        "type": "metric",
        "metric_name": metric.name,
        "instrument": metric.instrument,
        "unit": metric.unit or "1",
        "brief": metric.brief,
        **_STABILITY,
        "annotations": {"prometheus": {"name": metric.prometheus}},
        "attributes": _references(metric),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": f"event.{event.name}",
        "type": "event",
        "name": event.name,
        "brief": event.brief,
        **_STABILITY,
        "attributes": _references(event),
    }


def _references(owner: Metric | Event) -> list[dict[str, Any]]:
    conditions = dict(owner.conditions)
    return [
        {"ref": name, "requirement_level": {"conditionally_required": conditions[name]} if name in conditions else "required"}
        for name in owner.attributes
    ]
