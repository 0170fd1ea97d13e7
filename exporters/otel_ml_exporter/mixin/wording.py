"""What a page says: made by one function, in Prometheus' template language."""

from __future__ import annotations

from typing import Final

from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import FEATURE, MODEL, VERSION

PERCENT: Final = "humanizePercentage"
COUNT: Final = "humanize"
SCORE: Final = 'printf "%.3f"'
NUMBER: Final = 'printf "%.3g"'
AGE: Final = "humanizeDuration"
SECONDS: Final = 'printf "%gs"'

_VARIABLES: Final = {"model": MODEL, "version": VERSION, "feature": FEATURE}


def annotate(*, name: str, summary: str, description: str, action: str, dashboard: str, knobs: Knobs) -> dict[str, str]:
    """The annotations of an alert.

    `summary` is the same text for every model; `dashboard` is the uid, with the variables to set behind a question mark.
    """
    return {
        "summary": knobs.named(summary),
        "description": knobs.named(description),
        "action": knobs.named(action),
        "runbook_url": knobs.runbook(name),
        "dashboard_url": _link(dashboard, knobs),
    }


def label(name: str) -> str:
    """The value of an alert's label."""
    return _print(f"$labels.{name}")


def value(form: str) -> str:
    """The number that the alert's expression returned."""
    return _print(f"$value | {form}")


def look_up(query: str, *labels: str, form: str) -> str:
    """The first result of `query`, whose `%q` stand for the values of the alert's `labels`."""
    first = _print(f". | first | value | {form}")
    return _print(f"with {_filled(query, labels)} | query") + first + _UNKNOWN


def top_three(query: str, *labels: str, by: str, form: str, pick: str = "topk") -> str:
    """The three largest results of `query` as `name number`, each named by its label `by`; the smallest where `pick` is `bottomk`."""
    separator = _print("if $index") + ", " + _print("end")
    each = _print(f"$result.Labels.{by}") + " " + _print(f"$result.Value | {form}")
    return _print(f"range $index, $result := {_filled(f'{pick}(3, {query})', labels)} | query") + separator + each + _UNKNOWN


def listed(query: str, *labels: str, by: str) -> str:
    """The names of up to three results of `query`, each its label `by`, in the order of the alphabet."""
    separator = _print("if $index") + ", " + _print("end")
    each = _print(f"$result.Labels.{by}")
    found = f'{_filled(f"topk(3, {query})", labels)} | query | sortByLabel "{by}"'
    return _print(f"range $index, $result := {found}") + separator + each + _UNKNOWN


def of(*labels: str) -> tuple[str, ...]:
    """Matchers whose values the alert's labels fill in; give the same labels to `look_up`."""
    return tuple(f"{name}=%q" for name in labels)


def _print(code: str) -> str:
    return "{{ " + code + " }}"


MODEL_AND_VERSION: Final = f"model {label(MODEL)} version {label(VERSION)}"
SUBJECT: Final = f"Model {label(MODEL)} version {label(VERSION)}"
"""What the alert is about, within a sentence and at its beginning."""

_UNKNOWN: Final = _print("else") + "unknown" + _print("end")


def _filled(query: str, labels: tuple[str, ...]) -> str:
    return " ".join(["printf", f"`{query}`", *(f"$labels.{name}" for name in labels)])


def _link(dashboard: str, knobs: Knobs) -> str:
    uid, _, variables = dashboard.partition("?")
    chosen = ["var-" + name + "=" + _print(f"$labels.{_VARIABLES[name]} | urlquery") for name in variables.split("&") if name]
    return f"{knobs.grafana_url.rstrip('/')}/d/{uid}?" + "&".join([*chosen, "from=now-6h", "to=now"])
