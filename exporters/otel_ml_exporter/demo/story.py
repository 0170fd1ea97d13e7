"""The four acts: what is served, what should be seen, and what is told about it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from otel_ml import catalogue as names
from otel_ml_exporter.demo import flights
from otel_ml_exporter.demo.picture import Record, draw
from otel_ml_exporter.demo.stack import ALERTMANAGER, PROMETHEUS, WINDOW, Stack, running
from otel_ml_exporter.demo.traffic import Change, Traffic, celsius, unchanged
from otel_ml_exporter.programs import find
from otel_ml_exporter.thresholds import Limits

SEASON_MONTH = 9
_SHOWN_FEATURES = 6
_PSI_LIMIT = Limits().feature_psi("temp")


@dataclass(frozen=True)
class Act:
    """A stretch of traffic: it lasts `seconds`, or until `seen` once `least` seconds have passed."""

    title: str
    text: str
    seconds: float
    rows: pd.DataFrame
    change: Change = unchanged
    least: float = 0.0
    seen: Callable[[Stack], bool] = lambda _: False


class Reading(NamedTuple):
    """One feature's row of the exporter's last evaluation."""

    feature: str
    psi: float
    noise_floor: float
    drifted: bool


def tell(directory: Path, console: Console) -> int:
    """Run the demo in `directory`; 0 when everything was seen that should be."""
    paging = bool(find(PROMETHEUS) and find(ALERTMANAGER))
    if not paging:
        console.print(
            "[yellow]prometheus and prometheus-alertmanager are not on the PATH[/]: the exporter receives OTLP itself, and the rules, the "
            "alerts and the page are skipped. On Debian: apt-get install prometheus prometheus-alertmanager"
        )
    with console.status("Training a model on the flights of January to April 2013"):
        table = flights.load()
        parts = flights.split(table)
        model = flights.Model(parts.train)

    def prepare(path: Path) -> None:
        flights.baseline(model, parts.validation).save(path)

    console.print("Starting the exporter, the model server" + (", Prometheus and Alertmanager" if paging else ""))
    with running(directory, paging=paging, prepare=prepare) as stack:
        return _play(stack, _acts(parts, table), console)


def _acts(parts: flights.Split, table: pd.DataFrame) -> list[Act]:
    season = table[table["month"] == SEASON_MONTH]
    return [
        Act("Quiet traffic", "flights the model has not seen, of the months it was trained on; nothing should fire", 36, parts.quiet),
        Act("A season", "September: it is warm, and fewer flights are late. Real drift: a ticket, no page", 36, season),
        Act(
            "A bug",
            "the quiet flights again, but an upstream service reports the temperature in Celsius",
            50,
            parts.quiet,
            celsius,
            least=20,
            seen=lambda stack: bool(_of(stack, "trigger")),
        ),
        Act("Recovery", "the service is rolled back; the page should resolve itself", 60, parts.quiet, seen=_is_over),
    ]


def _play(stack: Stack, acts: list[Act], console: Console) -> int:
    quiet_alerts: set[str] = set()
    drifted: set[str] = set()
    watch = _Watch(stack, console)
    with Traffic(stack, acts[0].rows) as traffic:
        for number, act in enumerate(acts):
            console.rule(f"Act {number + 1}: {act.title}")
            console.print(act.text)
            traffic.switch(act.rows, act.change)
            readings, fired = watch.until_end_of(act)
            console.print(_table(readings))
            console.print(f"alerts: {', '.join(sorted(fired)) or 'none'}" if stack.paging else "alerts: skipped, there is no Prometheus")
            quiet_alerts |= fired if number == 0 else set()
            drifted |= {reading.feature for reading in readings if reading.drifted} if number in (1, 2) else set()
    console.rule("What happened")
    console.print(f"{traffic.served:,} flights served by {len(traffic.workers)} workers, {traffic.failed} failed")
    checks = {"nothing fired on quiet traffic": not quiet_alerts, "the drift of temp was found": "temp" in drifted}
    if stack.paging:
        checks |= _show_pages(stack, console)
    for what, holds in checks.items():
        console.print(f"[green]yes[/] {what}" if holds else f"[red]no [/] {what}")
    picture = stack.directory / "drift.svg"
    draw(watch.record, _PSI_LIMIT, picture)
    console.print(f"\nA picture of it: {picture}")
    console.print(f"Look at {stack.directory}: the baseline, the exporter's configuration, the alert rules, and a log of each server.")
    return 0 if all(checks.values()) else 1


class _Watch:
    """Looks at the exporter and Prometheus while acts are played, and remembers what it saw."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self.record = Record()
        self._stack = stack
        self._console = console
        self._start = time.monotonic()

    def until_end_of(self, act: Act) -> tuple[list[Reading], set[str]]:
        """Wait with a progress bar; the readings and the firing alerts at the end of the act."""
        began = self._seconds()
        self.record.acts.append((began, act.title))
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("serving", total=act.seconds)
            while True:
                readings, fired = self._look()
                passed = self._seconds() - began
                if passed >= act.seconds or (passed >= act.least and act.seen(self._stack)):
                    return readings, fired
                progress.update(task, completed=passed, description=", ".join(sorted(fired)) or "serving")
                time.sleep(0.5)

    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _look(self) -> tuple[list[Reading], set[str]]:
        readings, fired, now = read(self._stack.exported()), self._stack.firing(), self._seconds()
        for reading in readings:
            self.record.psi.setdefault(reading.feature, []).append((now, reading.psi))
        if readings:
            self.record.floor.append((now, max(reading.noise_floor for reading in readings)))
        for event in self._stack.pages()[len(self.record.marks) :]:
            self.record.marks.append((now, "page" if event["event_action"] == "trigger" else "page resolved"))
        self.record.end = now
        return readings, fired


def read(exposition: str) -> list[Reading]:
    """The features of the exporter's `/metrics`, the largest PSI first."""
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            feature = sample.labels.get(names.prometheus(names.FEATURE_NAME))
            if feature is not None:
                values.setdefault(feature, {})[sample.name] = sample.value
    psi, floor, drifted = (metric.prometheus for metric in (names.FEATURE_PSI, names.FEATURE_PSI_NOISE_FLOOR, names.FEATURE_DRIFTED))
    readings = [Reading(feature, found[psi], found[floor], found.get(drifted) == 1) for feature, found in values.items() if psi in found]
    return sorted(readings, key=lambda reading: -reading.psi)


def _table(readings: list[Reading]) -> Table:
    table = Table("feature", "PSI", "noise floor", "verdict", title=f"last {WINDOW}, the exporter's words", title_justify="left")
    for reading in readings[:_SHOWN_FEATURES]:
        verdict = "[red]drifted[/]" if reading.drifted else "steady"
        table.add_row(reading.feature, f"{reading.psi:.3f}", f"{reading.noise_floor:.3f}", verdict)
    return table


def _of(stack: Stack, action: str) -> list[dict[str, Any]]:
    return [event for event in stack.pages() if event["event_action"] == action]


def _is_resolved(stack: Stack) -> bool:
    paged = {event["dedup_key"] for event in _of(stack, "trigger")}
    return bool(paged) and paged <= {event["dedup_key"] for event in _of(stack, "resolve")}


def _is_over(stack: Stack) -> bool:
    return _is_resolved(stack) and not stack.firing()


def _show_pages(stack: Stack, console: Console) -> dict[str, bool]:
    """Print the first PagerDuty event as it was delivered; what should hold of all of them."""
    triggers = _of(stack, "trigger")
    if triggers:
        console.print("The page, as PagerDuty got it:")
        console.print_json(json.dumps(triggers[0]))
    tickets = len(stack.receiver.events("/slack"))
    console.print(f"{len(triggers)} pages and {tickets} chat messages were delivered")
    return {"the bug paged": bool(triggers), "the page resolved under its dedup key": _is_resolved(stack)}
