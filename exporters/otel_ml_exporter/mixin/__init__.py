"""What is rendered from the catalogue and a few knobs: rules, an Alertmanager example, dashboards, gates, the reference of names."""

from typing import Final

PACK: Final = ("rules", "dashboards", "alertmanager", "delivery")
"""What a site imports; `all` is all of them."""

PARTS: Final = (*PACK, "reference")
"""What can be rendered: the pack, and the reference of names for this repository's documentation."""

FORMATS: Final = ("prometheus", "operator", "configmap")
"""Plain files, resources of the Prometheus operator, or ConfigMaps."""
