"""The page for a person who opens the exporter in a browser."""

from __future__ import annotations

import datetime as dt
from html import escape

from otel_ml_exporter.service import Exporter, Report

_STYLE = "body{font:16px/1.5 sans-serif;margin:2em;max-width:60em}td,th{padding:.2em 1em .2em 0;text-align:left}"
_LINKS = (("/metrics", "metrics"), ("/healthz", "health"), ("/readyz", "readiness"))


def page(exporter: Exporter) -> str:
    """Models, the last evaluation, and links; without any asset from elsewhere."""
    links = " · ".join(f'<a href="{path}">{name}</a>' for path, name in _LINKS)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>otel-ml exporter</title><style>{_STYLE}</style>'
        f"<h1>otel-ml exporter</h1><p>{links}</p>{_state(exporter.report)}</html>"
    )


def _state(report: Report | None) -> str:
    if report is None:
        return "<p>The first evaluation has not ended yet.</p>"
    ended = dt.datetime.fromtimestamp(report.at, dt.timezone.utc).isoformat(" ", "seconds")
    source = f"no counts: {report.problem}" if report.problem else "the source of counts answers"
    rows = [_row("Model", "Version", "Task", "Baseline", "Fingerprint", tag="th")]
    for model in report.models:
        baseline = model.watched.baseline
        rows.append(_row(baseline.model, baseline.version, baseline.task or "", model.watched.file, baseline.fingerprint))
    missing = "".join(f"<li>{escape(file)}: {escape(problem)}</li>" for file, problem in report.missing.items())
    return f"<p>Last evaluation {escape(ended)}; {escape(source)}.</p><table>{''.join(rows)}</table>" + (
        f"<h2>Baselines that cannot be used</h2><ul>{missing}</ul>" if missing else ""
    )


def _row(*cells: str, tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
