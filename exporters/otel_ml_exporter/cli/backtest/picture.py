"""The timeline of a replay as an SVG picture: a row an alert and model, a lane a variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from otel_ml import catalogue as names
from otel_ml_exporter.cli.backtest.history import Row, Span
from otel_ml_exporter.cli.backtest.report import Variant, rows
from otel_ml_exporter.cli.words import clock

_LEFT, _WIDTH, _LANE, _HEAD = 320, 900, 18, 56
_COLOURS = {names.CRITICAL: "#D55E00", names.WARNING: "#0072B2"}
"""Of Okabe and Ito, told apart by people who see colours differently."""
_OTHER = "#777777"


def draw(variants: Sequence[Variant], span: Span) -> str:
    """The picture as text."""
    found = rows(variants)
    width, height = _LEFT + _WIDTH + 20, _HEAD + max(1, len(found)) * (len(variants) * _LANE + 10) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/><text x="10" y="20" font-size="15">{escape(_title(variants, span))}</text>',
        *_axis(span, height),
        *(line for index, row in enumerate(found) for line in _row(row, index, variants, span)),
        "</svg>\n",
    ]
    return "\n".join(lines)


def _title(variants: Sequence[Variant], span: Span) -> str:
    weekly = ", ".join(f"{variant.name}: {variant.weekly(names.CRITICAL, span):.1f}" for variant in variants)
    return f"Pages a week: {weekly}"


def _axis(span: Span, height: int) -> Iterator[str]:
    for part in range(5):
        x = _LEFT + _WIDTH * part / 4
        at = span.start + (span.end - span.start) * part / 4
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        yield f'<line x1="{x:.0f}" x2="{x:.0f}" y1="46" y2="{height - 10}" stroke="#dddddd"/>'
        yield f'<text x="{x:.0f}" y="40" text-anchor="{anchor}" fill="#555555">{clock(at)}</text>'


def _row(row: Row, index: int, variants: Sequence[Variant], span: Span) -> Iterator[str]:
    severity, alert, about = row
    top = _HEAD + index * (len(variants) * _LANE + 10)
    yield f'<text x="10" y="{top + 13}">{escape(f"{alert} {about}")}</text>'
    for lane, variant in enumerate(variants):
        y = top + lane * _LANE
        if len(variants) > 1:
            yield f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end" fill="#555555">{escape(variant.name)}</text>'
        yield f'<rect x="{_LEFT}" y="{y}" width="{_WIDTH}" height="{_LANE - 4}" fill="#f2f2f2"/>'
        outcome = variant.of(row)
        for each in outcome.incidents if outcome else ():
            x, width = (_WIDTH * seconds / (span.end - span.start) for seconds in (each.start - span.start, each.seconds))
            title = f"{clock(each.start)} to {clock(each.end)}"
            colour = _COLOURS.get(severity, _OTHER)
            place = f'x="{_LEFT + x:.1f}" y="{y}" width="{max(width, 1.5):.1f}" height="{_LANE - 4}"'
            yield f'<rect {place} fill="{colour}"><title>{escape(title)}</title></rect>'
