"""Which part each version plays, as the model servers last said over OTLP."""

from __future__ import annotations

import threading

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otel_ml import catalogue as names
from otel_ml_exporter.counts import Roles
from otel_ml_exporter.sources.points import plain

LASTS = 300.0
"""Seconds for which a role is believed, as Prometheus believes a sample: the SDK reports it each minute."""

MOST = 10_000
"""Versions whose roles are remembered; more are passed over."""

_KEY = (names.MODEL_NAME, names.MODEL_VERSION, names.BASELINE_ID)


class ReportedRoles:
    """The last role of each version; bounded, in memory, and safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._roles: dict[tuple[str, str, str], tuple[str, float]] = {}

    def take(self, request: ExportMetricsServiceRequest, now: float) -> None:
        """Note the roles that a report names."""
        for group in request.resource_metrics:
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == names.MODEL_INFO.name:
                        for point in metric.gauge.data_points:
                            found = {entry.key: plain(entry.value) for entry in point.attributes}
                            self._note(tuple(str(found.get(name, "")) for name in _KEY), found.get(names.MODEL_ROLE), now)

    def _note(self, key: tuple[str, ...], role: object, now: float) -> None:
        model, version, baseline_id = key
        with self._lock:
            if role in names.ROLES and (key in self._roles or len(self._roles) < MOST):
                self._roles[model, version, baseline_id] = str(role), now

    def at(self, now: float) -> Roles:
        """The roles that were reported lately."""
        with self._lock:
            self._roles = {key: found for key, found in self._roles.items() if now - found[1] <= LASTS}
            return {key: role for key, (role, _) in self._roles.items()}
