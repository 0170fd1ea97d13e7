"""Knobs that are right one by one and wrong together: rules that could never fire, or would tell everyone everything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Final

from otel_ml import catalogue as names
from otel_ml.errors import Fault
from otel_ml_exporter.mixin.durations import milliseconds, scaled, written

if TYPE_CHECKING:
    from otel_ml_exporter.mixin.knobs import Knobs

_WHILE: Final = "30m"
"""How long an alert on what is gone can be true at least: six times the `for` of ModelMetricsAbsent, three times the exporter's."""
_EVALUATED: Final = "1m"
"""How often the exporter evaluates by default; a site whose rules run more often may have an exporter that does too."""


def conflicts(knobs: Knobs, wrong: Collection[str]) -> Iterator[Fault]:
    """Each conflict with its mend, of knobs that are not `wrong` by themselves."""
    for together, check in _CHECKS.items():
        if not set(together) & set(wrong):
            yield from check(knobs)


def _labelled_twice(knobs: Knobs) -> Iterator[Fault]:
    for both in sorted({*knobs.labels} & {*knobs.group_labels}):
        yield Fault(f"labels.{both}", "is a group label too, which each environment sets itself", "give it once")


def _middle(knobs: Knobs) -> Iterator[Fault]:
    yield from _shorter_than_short("middle_window", knobs.middle_window, knobs)


def _long(knobs: Knobs) -> Iterator[Fault]:
    yield from _shorter_than_short("long_window", knobs.long_window, knobs)


def _shorter_than_short(name: str, window: str, knobs: Knobs) -> Iterator[Fault]:
    if milliseconds(window) < milliseconds(knobs.short_window):
        yield Fault(name, f"{window} is shorter than the short window, {knobs.short_window}", "write at least that")


def _few_scrapes(knobs: Knobs) -> Iterator[Fault]:
    if milliseconds(knobs.rate_window) < 2 * milliseconds(knobs.scrape_interval):
        few = f"{knobs.rate_window} holds no two scrapes, so that nothing has a rate"
        yield Fault("rate_window", few, f"write at least four times the scrape interval, {knobs.scrape_interval}, or give the true one")


def _soon_forgotten(knobs: Knobs) -> Iterator[Fault]:
    least = scaled(_WHILE, knobs.pace)
    if milliseconds(knobs.absence_window) < milliseconds(least):
        fault = f"{knobs.absence_window} is over before ModelMetricsAbsent has told anyone, or soon after"
        yield Fault("absence_window", fault, f"write at least {least}")


def _soon_forgiven(knobs: Knobs) -> Iterator[Fault]:
    least = milliseconds(knobs.stale_after) + milliseconds(scaled(_WHILE, knobs.pace))
    if milliseconds(knobs.memory_window) < least:
        fault = f"{knobs.memory_window} is over before the alert on a dead exporter has told anyone, or soon after"
        yield Fault("memory_window", fault, f"write at least {written(least)}, better a long weekend")


def _always_stale(knobs: Knobs) -> Iterator[Fault]:
    least = 3 * min(milliseconds(knobs.interval), milliseconds(_EVALUATED))
    if milliseconds(knobs.stale_after) < least:
        fault = f"{knobs.stale_after} passes between two evaluations of an exporter that works"
        yield Fault("stale_after", fault, f"write at least {written(least)}, several of the exporter's intervals")


def _one_word_for_two(knobs: Knobs) -> Iterator[Fault]:
    """The word of pages routes and inhibits; the Watchdog, which always fires, would mute every warning about the pack."""
    page = knobs.severity(names.CRITICAL)
    if page == knobs.severity(names.WARNING):
        key = names.CRITICAL if names.CRITICAL in knobs.severities else names.WARNING
        yield Fault(f"severities.{key}", f"makes {page!r} the word for pages and for warnings, so that all of them page", "use two words")
    elif page == knobs.severity("none", "Watchdog"):
        key = "Watchdog" if "Watchdog" in knobs.severities else names.CRITICAL
        fault = f"gives the Watchdog, which always fires, the word for pages, {page!r}, which mute warnings"
        yield Fault(f"severities.{key}", fault, "use two words")


_CHECKS: Final[dict[tuple[str, ...], Callable[[Knobs], Iterator[Fault]]]] = {
    ("labels", "group_labels"): _labelled_twice,
    ("middle_window", "short_window"): _middle,
    ("long_window", "short_window"): _long,
    ("rate_window", "scrape_interval"): _few_scrapes,
    ("absence_window", "pace"): _soon_forgotten,
    ("memory_window", "stale_after", "pace"): _soon_forgiven,
    ("stale_after", "interval"): _always_stale,
    ("severities",): _one_word_for_two,
}
"""What must be true of several knobs, by their names."""
