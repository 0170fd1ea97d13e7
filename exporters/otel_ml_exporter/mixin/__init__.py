"""The on-call pack: alert rules, an Alertmanager example and dashboards, rendered from the catalogue and a few knobs."""

from typing import Final

PARTS: Final = ("rules", "dashboards", "alertmanager")
"""What can be rendered; `all` is all of them."""

FORMATS: Final = ("prometheus", "operator", "configmap")
"""Plain files, resources of the Prometheus operator, or ConfigMaps."""
