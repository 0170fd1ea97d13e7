"""The dashboards, for Grafana 11: the overview, then one for each question a page raises."""

from __future__ import annotations

import json
import sys
from itertools import count
from typing import Any

from otel_ml.errors import OtelMLError
from otel_ml_exporter.mixin.dashboards.grouping import with_groups
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import Queries


def dashboards(knobs: Knobs) -> dict[str, Any]:
    """The dashboards as Grafana reads them, by their uid; `OtelMLError` where Grafana's SDK cannot be installed."""
    try:
        from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415  an extra that rules do not need
    except ModuleNotFoundError as error:
        if sys.version_info < (3, 11):
            raise OtelMLError("dashboards need Grafana's SDK and Python 3.11; render them there, or take the rendered ones") from error
        raise

    from otel_ml_exporter.mixin.dashboards.drift import drift  # noqa: PLC0415
    from otel_ml_exporter.mixin.dashboards.monitor import monitor  # noqa: PLC0415
    from otel_ml_exporter.mixin.dashboards.overview import overview  # noqa: PLC0415
    from otel_ml_exporter.mixin.dashboards.quality import quality  # noqa: PLC0415
    from otel_ml_exporter.mixin.dashboards.rollout import rollout  # noqa: PLC0415
    from otel_ml_exporter.mixin.dashboards.serving import serving  # noqa: PLC0415

    encoder = JSONEncoder()
    queries = Queries(knobs)
    built = (json.loads(knobs.named(encoder.encode(build(queries)))) for build in (overview, serving, drift, quality, rollout, monitor))
    return {dashboard["uid"]: _numbered(with_groups(dashboard, queries)) for dashboard in built}


def _numbered(dashboard: dict[str, Any]) -> dict[str, Any]:
    """The dashboard with a number for every panel, so that links to a panel stay what they are."""
    number = count(1)

    def numbered(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**panel, "id": next(number), **({"panels": numbered(panel["panels"])} if "panels" in panel else {})} for panel in panels]

    return {**dashboard, "panels": numbered(dashboard["panels"])}
