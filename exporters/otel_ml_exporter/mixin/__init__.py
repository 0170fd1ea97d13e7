"""What is rendered from the catalogue and a few knobs: rules, an Alertmanager example, dashboards, gates, the reference of names."""

from typing import Final

PARTS: Final = ("rules", "dashboards", "alertmanager", "delivery", "reference")
"""What can be rendered; `all` is all of them."""

FORMATS: Final = ("prometheus", "operator", "configmap")
"""Plain files, resources of the Prometheus operator, or ConfigMaps."""
