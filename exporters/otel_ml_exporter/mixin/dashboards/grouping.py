"""Group labels on finished dashboards: a variable for each, and every query asks for the chosen ones only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.grouping import grouped, matched
from otel_ml_exporter.mixin.promql import MODEL, Queries, equal

_VALUES: Final = re.compile(r"label_values\((.*), (\w+)\)")
_LEGEND: Final = f"{{{{{MODEL}}}}}"
_LINK: Final = "var-model=${__data.fields.Model:percentencode}"
_SAME: Final = "${model:queryparam}"
"""The model in the links of a table of models, and in those of a dashboard of one model to itself."""

Dashboard = dict[str, Any]


def with_groups(dashboard: Dashboard, queries: Queries) -> Dashboard:
    """The dashboard for models that `group_labels` tell apart; where it shows several models, it may show several environments."""
    labels = queries.knobs.group_labels
    if not labels:
        return dashboard
    variables = dashboard["templating"]["list"]
    model = next(variable for variable in variables if variable["name"] == "model")
    several = model["multi"]
    chosen = [f'{label}=~"${label}"' if several else equal(label, f"${label}") for label in labels]

    def narrowed(expr: str) -> str:
        return grouped(matched(expr, chosen), labels if several else (), beside=MODEL)

    info = queries.series(names.MODEL_INFO)
    choosers = [_chooser(model, label, matched(info, chosen[:index])) for index, label in enumerate(labels)]
    for variable in (each for each in variables if each["type"] == "query"):
        variable["query"]["query"] = _asked(variable["query"]["query"], chosen)
    for mark in dashboard["annotations"]["list"]:
        mark["expr"] = narrowed(mark["expr"])
    for panel in _panels(dashboard):
        for target in panel.get("targets", []):
            target["expr"] = narrowed(target["expr"])
            target["legendFormat"] = _legend(target["legendFormat"], labels if several else ())
        for step in panel.get("transformations", []):
            _beside_model(step["options"].get("indexByName", {}), labels)
    variables[1:1] = choosers
    kept = "".join(f"var-{label}=${{__data.fields.{label}:percentencode}}&" for label in labels)
    same = "".join(f"${{{label}:queryparam}}&" for label in labels)
    linked: Dashboard = json.loads(json.dumps(dashboard).replace(_LINK, kept + _LINK).replace(_SAME, same + _SAME))
    return linked


def _panels(of: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in of.get("panels", []):
        yield panel
        yield from _panels(panel)


def _chooser(model: Mapping[str, Any], label: str, info: str) -> dict[str, Any]:
    query = {"query": f"label_values({info}, {label})", "refId": label}
    return {**model, "name": label, "label": label.capitalize(), "description": f"The {label} of the model.", "query": query}


def _asked(query: str, chosen: Sequence[str]) -> str:
    found = _VALUES.fullmatch(query)
    return f"label_values({matched(found[1], chosen)}, {found[2]})" if found else matched(query, chosen)


def _legend(legend: str, labels: Sequence[str]) -> str:
    return legend.replace(_LEGEND, "".join(f"{{{{{label}}}}} " for label in labels) + _LEGEND)


def _beside_model(places: dict[str, int], labels: Sequence[str]) -> None:
    """Put the labels before the model among the columns of a table."""
    if MODEL in places:
        order = sorted(places, key=places.__getitem__)
        order[order.index(MODEL) : order.index(MODEL)] = labels
        places.update({name: index for index, name in enumerate(order)})
