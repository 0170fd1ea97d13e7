"""A report as text for a terminal, and as Markdown for a ticket."""

from __future__ import annotations

from collections.abc import Iterator

from otel_ml import catalogue as names
from otel_ml_exporter.cli.exporter import table
from otel_ml_exporter.cli.triage.report import Change, Commands, Firing, Moved, Report, Version
from otel_ml_exporter.cli.words import clock, counted, plain, span
from otel_ml_exporter.mixin.pack import ALL_MODELS

_MOVED = ("", "version", "value", "limit", "noise floor", "samples", "is it real?")


def headline(report: Report) -> str:
    """The state of the model in a line."""
    firing = [alert for alert in report.alerts if alert.state == "firing"]
    pages, tickets = (sum(alert.level == severity for alert in firing) for severity in (names.CRITICAL, names.WARNING))
    word = "ACT" if pages else "SILENT" if report.silent else "LOOK" if report.wrong else "OK"
    fires = f"{counted(pages, 'page')}, {counted(tickets, 'ticket')}" if report.watched else "firing alerts unknown"
    real = sum(moved.real for moved in report.moved)
    told = [_silence(report)] if report.silent else [f"{counted(real, 'score')} really moved" if report.moved else "no scores"]
    return f"{word}: {', '.join((fires, *told))}"


def _silence(report: Report) -> str:
    """Since when the model reports nothing."""
    if report.seen is None:
        return f"has reported nothing for at least {span(report.back)}"
    return f"has reported nothing since {clock(report.seen)} ({span(report.at - report.seen)} ago)"


def as_text(report: Report, commands: Commands) -> str:
    """The report for a terminal."""
    parts = [f"model {report.model}  {clock(report.at)}  {headline(report)}"]
    for title, lines in _sections(report, commands):
        parts.append("\n".join([title, *(f"  {line}" for line in lines)]))
    if report.moved:
        rows = table([_MOVED, *(_cells(moved, report) for moved in report.moved)])
        parts.insert(-2, "\n".join([f"what moved, over {report.window}", *(f"  {line}" for line in rows.splitlines())]))
    return plain("\n\n".join(parts), keep="\n")


def as_markdown(report: Report, commands: Commands) -> str:
    """The report for a ticket."""
    parts = [f"## Model {report.model}: {headline(report)}", f"At {clock(report.at)}."]
    for title, lines in _sections(report, commands):
        parts.append("\n".join([f"### {title[0].upper()}{title[1:]}", *(f"- {line.strip()}" for line in lines)]))
    if report.moved:
        head = f"| {' | '.join(_MOVED)} |\n|{' --- |' * len(_MOVED)}"
        rows = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in _cells(moved, report))} |" for moved in report.moved]
        parts.insert(-2, "\n".join([f"### What moved, over {report.window}\n", head, *rows]))
    return plain("\n\n".join(parts), keep="\n")


def _sections(report: Report, commands: Commands) -> Iterator[tuple[str, list[str]]]:
    """Titles and lines, without the table; the last two are what changed and what to do."""
    versions = [_silence(report)] if report.silent else [_version(version, report) for version in report.versions]
    serving = versions + list(report.serving) + list(report.gaps)
    yield "serving", serving
    yield "firing", [line for alert in report.alerts for line in _alert(alert, report.at)] or ["nothing" if report.watched else "unknown"]
    changed = [f"{_when(change)} ({span(report.at - change.at)} ago)  {change.what}" for change in report.changes]
    yield "what changed before", changed or ["nothing: same versions, baselines and numbers of replicas"]
    yield "what to do", list(_advice(report, commands))


def _when(change: Change) -> str:
    return clock(change.at) if change.after is None else f"between {clock(change.after)} and {clock(change.at)}"


def _about(at: float, report: Report) -> str:
    """How long ago a score was seen first, as well as that is known."""
    return f"about {span(report.at - at)}" if report.at - at >= report.step else f"less than {span(report.step)}"


def _version(version: Version, report: Report) -> str:
    since = "since before the range" if version.since is None else f"for {span(report.at - version.since)}"
    role = f" {version.role}" if version.role else ""
    return f"version {version.version}{role}, {counted(version.replicas, 'replica')}, baseline {version.baseline or 'none'}, {since}"


def _alert(alert: Firing, at: float) -> Iterator[str]:
    every = "all models" * (alert.model == ALL_MODELS)
    where = ", ".join(part for part in (every, f"version {alert.version}" * bool(alert.version), alert.feature) if part)
    muted = f", {alert.muted}" if alert.muted else ""
    yield f"{alert.severity} {alert.name} {alert.state} for {span(at - alert.since)}{muted}{f' ({where})' if where else ''}"
    if alert.state == "firing" and alert.description:
        yield f"    {alert.description}"


def _cells(moved: Moved, report: Report) -> tuple[str, ...]:
    limit, floor = ("-" if number is None else f"{number:.3g}" for number in (moved.limit, moved.floor))
    samples = "-" if moved.samples is None else f"{moved.samples:.0f}"
    return moved.what, moved.version, f"{moved.value:.3g}", limit, floor, samples, "; ".join((_judged(moved, report), *moved.notes))


def _judged(moved: Moved, report: Report) -> str:
    """Effect and evidence in words."""
    if moved.real:
        bounds = [(bound, word) for bound, word in ((moved.limit, "the limit"), (moved.floor, "chance")) if bound]
        times = [f"{moved.value / bound:.1f} x {word}" for bound, word in bounds if moved.value > bound] or [
            "values that the baseline never saw"
        ]
        since = "" if moved.since is None else f", for {_about(moved.since, report)}"
        return f"yes: {', '.join(times)}{since}"
    if moved.floor is None:
        return "unknown: no noise floor"
    return "no: chance gives as much" if moved.value <= moved.floor else "too small to matter"


def _without_alerts(report: Report, commands: Commands) -> Iterator[str]:
    """What to do where no alert says it."""
    if report.silent or not report.watched:
        yield f"find the broken link: {commands.doctor}"
    if any(moved.real for moved in report.moved):
        yield "look at what moved, and ask the owners"
    if not report.wrong:
        yield "nothing"


def _advice(report: Report, commands: Commands) -> Iterator[str]:
    """Actions of the alerts, where to read on, and how to be left alone."""
    yield from report.actions or _without_alerts(report, commands)
    for word in ("runbook", "dashboard"):
        for url in dict.fromkeys(getattr(alert, word) for alert in report.alerts if getattr(alert, word)):
            yield f"{word}: {url}"
    if report.wrong:
        yield f"if this is planned: {commands.silence}"
