"""A picture of what happened: the PSI of the features over the acts, with the limit, the noise floor and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OKABE_ITO: Final = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that people with colour blindness can tell apart (Okabe and Ito 2008)."""
_SMALLEST = 1e-3


@dataclass
class Record:
    """What was seen while the demo ran; times are seconds since the first act."""

    psi: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    floor: list[tuple[float, float]] = field(default_factory=list)
    acts: list[tuple[float, str]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    end: float = 0.0


def draw(record: Record, limit: float, path: Path) -> None:
    """Write the picture as SVG."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    shown = sorted(record.psi, key=lambda name: -max(value for _, value in record.psi[name]))[: len(OKABE_ITO)]
    for colour, name in zip(OKABE_ITO, shown, strict=False):
        _line(axes, record.psi[name], label=name, color=colour)
    _line(axes, record.floor, label="noise floor", color="#888888", linestyle=":")
    axes.axhline(limit, color="black", linestyle="--", linewidth=1, label=f"limit {limit:g}")
    for start, title in record.acts:
        axes.axvline(start, color="#cccccc", linewidth=1)
        axes.text(start + 1, 0.97, title, transform=axes.get_xaxis_transform(), va="top", fontsize=9, weight="bold")
    for at, text in record.marks:
        axes.axvline(at, color="#D55E00", linewidth=1.2)
        axes.text(at + 1, 0.88, text, transform=axes.get_xaxis_transform(), va="top", fontsize=8, color="#D55E00")
    axes.set(yscale="log", ylim=(_SMALLEST, 30), xlim=(0, record.end), xlabel="seconds", ylabel="PSI against the baseline")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "otel-ml"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def _line(axes: Axes, points: Sequence[tuple[float, float]], **style: str) -> None:
    axes.plot([at for at, _ in points], [max(value, _SMALLEST) for _, value in points], **style)  # type: ignore[arg-type]
