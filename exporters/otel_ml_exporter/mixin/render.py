"""Which files the pack consists of, and writing or checking them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from otel_ml.files import write_text
from otel_ml_exporter.mixin import PACK
from otel_ml_exporter.mixin.alertmanager import alertmanager
from otel_ml_exporter.mixin.delivery import argo, flagger
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import Queries
from otel_ml_exporter.mixin.reference.page import page
from otel_ml_exporter.mixin.reference.registry import registry
from otel_ml_exporter.mixin.rules import groups, rule_file
from otel_ml_exporter.mixin.yaml_text import MARK, to_yaml

RULES: Final = "alert_rules"
DELIVERY: Final = f"{RULES}/progressive_delivery"
DASHBOARDS: Final = "grafana_dashboards"
REFERENCE: Final = "docs/reference"

Files = dict[str, str]


def render(what: str, knobs: Knobs, *, form: str = "prometheus") -> Files:
    """The text of each file, by its path; `what` is one of `PARTS` or `all` of the pack, `form` one of `FORMATS`."""
    chosen = PACK if what == "all" else (what,)
    return {path: text for part in chosen for path, text in _RENDERERS[part](knobs, form).items()}


def write(files: Mapping[str, str], directory: Path) -> None:
    """Write all files under a directory; a reader sees an old file or a new one, never a part."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)


def differing(files: Mapping[str, str], directory: Path) -> list[str]:
    """The files that are absent or hold another text, and files with our mark that are rendered no more."""
    changed = [name for name, text in files.items() if _text(directory / name) != text]
    places = sorted({(Path(name).parent, Path(name).suffix) for name in files})
    present = [path for folder, suffix in places for path in sorted((directory / folder).glob(f"*{suffix}"))]
    others = [path for path in present if path.relative_to(directory).as_posix() not in files]
    return changed + [path.relative_to(directory).as_posix() for path in others if MARK in (_text(path) or "")]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _rules(knobs: Knobs, form: str) -> Files:
    files = {}
    for group in groups(knobs):
        content = rule_file(group, knobs)
        if form == "operator":
            content = _resource(knobs, f"otel-ml-{group.name}", "PrometheusRule", api="monitoring.coreos.com/v1", spec=content)
        if form == "configmap":
            content = _resource(knobs, f"otel-ml-{group.name}", "ConfigMap", data={f"{group.name}.yaml": to_yaml(content, group.brief)})
        files[f"{RULES}/{group.name}.yaml"] = to_yaml(content, group.brief)
    if form == "operator":
        files[f"{RULES}/exporter.servicemonitor.yaml"] = to_yaml(_service_monitor(knobs), "Has the operator scrape the exporter.")
    return files


def _service_monitor(knobs: Knobs) -> dict[str, Any]:
    """For the Service of `deploy/kustomize`, or any with its label and a port called metrics."""
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app.kubernetes.io/name": "otel-ml-exporter"}},
        "endpoints": [{"port": "metrics", "interval": knobs.interval}],
    }
    if knobs.namespace:
        spec["namespaceSelector"] = {"matchNames": [knobs.namespace]}
    return _resource(knobs, "otel-ml-exporter", "ServiceMonitor", api="monitoring.coreos.com/v1", spec=spec)


def _alertmanager(knobs: Knobs, form: str) -> Files:
    brief = "An example: take the routes and inhibitions into your own configuration."
    content = alertmanager(knobs)
    if form != "prometheus":
        data = {"alertmanager.yaml": to_yaml(content, brief)}
        name = "otel-ml-alertmanager"
        content = (
            _resource(knobs, name, "Secret", stringData=data) if form == "operator" else _resource(knobs, name, "ConfigMap", data=data)
        )
    return {f"{RULES}/alertmanager/alertmanager.example.yaml": to_yaml(content, brief)}


def _delivery(knobs: Knobs, _form: str) -> Files:
    queries = Queries(knobs)
    files = {f"{DELIVERY}/argo-rollouts.yaml": to_yaml(argo(queries), "Gates for Argo Rollouts; no data, or too few, is inconclusive.")}
    for check, template in flagger(queries).items():
        files[f"{DELIVERY}/flagger-{check}.yaml"] = to_yaml(template, "A gate for Flagger; no data, or too few, is a failed check there.")
    return files


def _dashboards(knobs: Knobs, form: str) -> Files:
    from otel_ml_exporter.mixin.dashboards import dashboards  # noqa: PLC0415  rules need no Grafana SDK

    files = {}
    for name, content in dashboards(knobs).items():
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        if form == "prometheus":
            files[f"{DASHBOARDS}/{name}.json"] = text
        else:
            resource = _resource(knobs, name, "ConfigMap", labels={"grafana_dashboard": "1"}, data={f"{name}.json": text})
            files[f"{DASHBOARDS}/{name}.yaml"] = to_yaml(resource)
    return files


def _reference(_: Knobs, __: str) -> Files:
    """The same in every form and with all knobs."""
    files = {f"{REFERENCE}/registry/{name}.yaml": to_yaml(content, brief) for name, (brief, content) in registry().items()}
    return {f"{REFERENCE}/metrics.md": page(), **files}


def _resource(
    knobs: Knobs, name: str, kind: str, *, api: str = "v1", labels: Mapping[str, str] | None = None, **content: Any
) -> dict[str, Any]:
    """A Kubernetes resource, where and with the labels that the site's operators look for."""
    marks = {"app.kubernetes.io/name": "otel-ml", **(labels or {}), **knobs.resource_labels}
    place = {"namespace": knobs.namespace} if knobs.namespace else {}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **place, "labels": marks}, **content}


_RENDERERS: Final[Mapping[str, Callable[[Knobs, str], Files]]] = {
    "rules": _rules,
    "dashboards": _dashboards,
    "alertmanager": _alertmanager,
    "delivery": _delivery,
    "reference": _reference,
}
