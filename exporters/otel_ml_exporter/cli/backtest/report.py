"""What a replay found: a table, totals for a week, and a timeline, for people; everything, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from otel_ml import catalogue as names
from otel_ml_exporter.cli.backtest.history import ALERT, Outcome, Row, Span
from otel_ml_exporter.cli.backtest.notifications import Notification
from otel_ml_exporter.cli.backtest.ruleset import Rules
from otel_ml_exporter.cli.exporter import table
from otel_ml_exporter.cli.words import clock
from otel_ml_exporter.cli.words import span as length

WIDTH = 60
LEAST = 6 * 3_600.0
"""Seconds under which a past says nothing about a week."""
_FIRES, _SILENT = "█", "·"


@dataclass(frozen=True)
class Variant:
    """The rules with some limits, and what they would have done."""

    name: str
    rules: Rules
    outcomes: Sequence[Outcome]
    told: Sequence[Notification] | None = None

    def pages(self, span: Span) -> float:
        """Pages in a week: what a receiver was told of something critical where the routing is known, else critical incidents."""
        if self.told is None:
            return self.weekly(names.CRITICAL, span)
        critical = {(names.SEVERITY, word) for word, level in self.rules.levels.items() if level == names.CRITICAL}
        return sum(any(critical & set(labels) for labels in each.firing) for each in self.told) / span.weeks

    def told_weekly(self, receiver: str, span: Span) -> float:
        """How often in a week a receiver was told that something fires; repetitions count."""
        return sum(each.receiver == receiver and bool(each.firing) for each in self.told or ()) / span.weeks

    def weekly(self, severity: str, span: Span) -> float:
        """Incidents of a severity in a week."""
        return sum(len(outcome.incidents) for outcome in self.outcomes if outcome.severity == severity) / span.weeks

    def of(self, row: Row) -> Outcome | None:
        """What an alert did for a model in its place."""
        return next((outcome for outcome in self.outcomes if outcome.row == row), None)


def rows(variants: Sequence[Variant]) -> list[Row]:
    """The rows of whatever fired in any variant, worst first."""
    order = {names.CRITICAL: 0, names.WARNING: 1}
    found = {outcome.row for variant in variants for outcome in variant.outcomes}
    return sorted(found, key=lambda row: (order.get(row[0], 2), row))


def as_text(variants: Sequence[Variant], span: Span, asked: Span, silent: Sequence[str]) -> str:
    """The table, the totals and the timeline; `asked` is the span before it was cut to the time that has models."""
    shorter = "" if span == asked else f" of {length(asked.end - asked.start)}: there is no model before"
    parts = [f"{clock(span.start)} to {clock(span.end)} ({length(span.end - span.start)}{shorter}), {_left_out(variants)}"]
    if found := rows(variants):
        parts.append(table([("severity", "alert", "model", *(variant.name for variant in variants)), *_told(found, variants)]))
        parts.append(table(list(_timeline(found, variants, span))))
    if silent:
        parts.append(fill(f"never: {', '.join(silent)}", get_terminal_size().columns, subsequent_indent="  "))
    totals = (("", *(variant.name for variant in variants)), *_totals(variants, span))
    return "\n\n".join([*parts, table(totals)])


def _left_out(variants: Sequence[Variant]) -> str:
    known = any(variant.told is not None for variant in variants)
    return "with groups and inhibitions, without silences and business hours" if known else "without inhibitions and silences"


def _told(found: Sequence[Row], variants: Sequence[Variant]) -> Iterator[tuple[str, ...]]:
    for row in found:
        yield *row, *(_cell(variant.of(row)) for variant in variants)


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "-"
    total = sum(interval.seconds for interval in outcome.incidents)
    series = f", {outcome.series} series" if outcome.series > 1 else ""
    return f"{len(outcome.incidents)} x, {length(total)}{series}"


def _totals(variants: Sequence[Variant], span: Span) -> Iterator[tuple[str, ...]]:
    """Pages, tickets and what is neither, in a week; in the past itself where that is too short to speak of weeks."""
    weeks, rate = (span.weeks, f"in {length(span.end - span.start)}") if span.end - span.start < LEAST else (1.0, "a week")
    words = {names.CRITICAL: "pages", names.WARNING: "tickets"}
    others = sorted({outcome.severity for variant in variants for outcome in variant.outcomes} - set(words))
    for severity, word in (*words.items(), *((each, f"of severity {each or 'none'}") for each in others)):
        yield f"{word} {rate}", *(f"{variant.weekly(severity, span) * weeks:.1f}" for variant in variants)
    for receiver in sorted({each.receiver for variant in variants for each in variant.told or ()}):
        yield f"told to {receiver} {rate}", *(f"{variant.told_weekly(receiver, span) * weeks:.1f}" for variant in variants)


def _timeline(found: Sequence[Row], variants: Sequence[Variant], span: Span) -> Iterator[tuple[str, ...]]:
    for row in found:
        for variant in variants:
            _, alert, about = row
            name = (f"{alert} {about}", variant.name) if len(variants) > 1 else (f"{alert} {about}",)
            outcome = variant.of(row)
            yield *name, _bar(outcome, span) if outcome else _SILENT * WIDTH


def _bar(outcome: Outcome, span: Span) -> str:
    cell = (span.end - span.start) / WIDTH
    starts = [span.start + index * cell for index in range(WIDTH)]
    return "".join(_FIRES if any(each.start < at + cell and each.end > at for each in outcome.incidents) else _SILENT for at in starts)


def as_data(variants: Sequence[Variant], span: Span) -> Mapping[str, Any]:
    """Everything; times in Unix seconds."""

    def told(outcome: Outcome) -> dict[str, Any]:
        intervals = [each._asdict() for each in outcome.incidents]
        return {
            "alert": outcome.alert,
            "model": outcome.model,
            "places": outcome.places,
            "severity": outcome.severity,
            "series": outcome.series,
            "incidents": intervals,
        }

    return {
        "start": span.start,
        "end": span.end,
        "variants": [
            {
                "name": variant.name,
                "pages_per_week": variant.weekly(names.CRITICAL, span),
                "tickets_per_week": variant.weekly(names.WARNING, span),
                "outcomes": [told(outcome) for outcome in variant.outcomes],
                "told": None if variant.told is None else [_notification(each) for each in variant.told],
            }
            for variant in variants
        ],
    }


def _notification(told: Notification) -> dict[str, Any]:
    firing, resolved = (sorted({dict(labels)[ALERT] for labels in side}) for side in (told.firing, told.resolved))
    return {"at": told.at, "receiver": told.receiver, "firing": firing, "resolved": resolved}
