"""`otel-ml baseline show`: a baseline as a table, or one feature as bars."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from otel_ml import Baseline
from otel_ml.baseline import Feature, Histogram
from otel_ml.errors import BaselineError, Fault

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDTH = 40


def show(options: argparse.Namespace) -> int:
    """Print the file; always 0."""
    baseline = Baseline.load(options.file)
    if options.feature is not None:
        return _show_feature(_find(baseline, options), as_json=options.json)
    if options.json:
        print(json.dumps({**baseline.to_dict(), "series": baseline.series}))
        return 0
    task = baseline.task or "no predictions"
    print(f"{baseline.model} {baseline.version}  {task}  {baseline.samples:,} rows  {baseline.created:%Y-%m-%d %H:%M} UTC")
    print(f"id {baseline.fingerprint}  {baseline.series} series for each replica\n")
    header = ("feature", "made from", "type", "bins", "missing", "range", "importance", "design", "distribution")
    rows = [header, *map(_feature_row, baseline.features)]
    measure = "" if baseline.confidence_measure == "probability" else f"{baseline.confidence_measure} of probabilities"
    for name, made, histogram, effect in (
        ("(prediction)", "", baseline.prediction, baseline.prediction_design_effect),
        ("(confidence)", measure, baseline.confidence, 1.0),
        ("(energy)", "logits", baseline.energy, 1.0),
    ):
        if histogram is not None:
            rows.append((name, made, "", str(len(histogram.labels)), _missing(histogram), "", "", _effect(effect), sparkline(histogram)))
    rows += [
        (
            f"({output.name})",
            "",
            "",
            str(len(output.histogram.labels)),
            _missing(output.histogram),
            "",
            "",
            _effect(output.design_effect),
            sparkline(output.histogram),
        )
        for output in baseline.outputs
    ]
    print_table(_without_empty(rows))
    if baseline.golden is not None:
        print(f"\n{len(baseline.golden.rows)} golden records: raw rows of the data are in the file")
    if baseline.performance:
        print("\n" + "  ".join(f"{name} {value:.3f}" for name, value in baseline.performance.items()))
    return 0


def _feature_row(feature: Feature) -> tuple[str, ...]:
    histogram = feature.histogram
    return (
        feature.name,
        _origin(feature),
        feature.type,
        str(len(histogram.labels)),
        _missing(histogram),
        _span(feature),
        "" if feature.importance is None else f"{feature.importance:.1%}",
        _effect(feature.design_effect),
        sparkline(histogram),
    )


def _origin(feature: Feature) -> str:
    """What a derived feature is, such as `hour of when`."""
    source = feature.source
    if source is None:
        return ""
    what = {"unknown_words": "share of unknown words", "axis": "place along an axis", "age": "age in days", "hour": "hour (UTC)"}
    return f"{what.get(source.how, source.how)} of {source.column}"


def _span(feature: Feature) -> str:
    if feature.type == "categorical":
        return f"{len(feature.vocabulary)} categories"
    return "" if feature.minimum is None else f"{feature.minimum:.6g} .. {feature.maximum:.6g}"


def _effect(effect: float) -> str:
    return "" if effect == 1 else f"{effect:.1f}"


def _missing(histogram: Histogram) -> str:
    return f"{histogram.counts[-2] / histogram.samples:.1%}" if histogram.samples else ""


def _without_empty(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The columns that say something in any row below the header."""
    kept = [index for index, column in enumerate(zip(*rows, strict=True)) if any(column[1:])]
    return [tuple(row[index] for index in kept) for row in rows]


def _find(baseline: Baseline, options: argparse.Namespace) -> Feature:
    try:
        return baseline.feature(options.feature)
    except KeyError:
        names = ", ".join(feature.name for feature in baseline.features)
        raise BaselineError(
            f"baseline {options.file}", [Fault(f"feature {options.feature!r}", "is not in it", f"it has {names}")]
        ) from None


def _show_feature(feature: Feature, *, as_json: bool) -> int:
    histogram = feature.histogram
    bins = dict(zip(histogram.labels, histogram.counts, strict=True))
    if as_json:
        summary = {
            name: getattr(feature, name) for name in ("name", "type", "minimum", "maximum", "mean", "std", "importance", "design_effect")
        }
        print(json.dumps({**summary, "bins": bins}))
        return 0
    print("  ".join(filter(None, (feature.name, _origin(feature), feature.type, _span(feature)))) + "\n")
    most, total = max(histogram.counts) or 1, histogram.samples or 1
    print_table([(label, f"{count:,}", f"{count / total:.1%}", "█" * round(count / most * _WIDTH)) for label, count in bins.items()])
    return 0


def sparkline(histogram: Histogram) -> str:
    """The counts as one character a bin.

    >>> sparkline(Histogram(None, ("a", "b"), (5, 10, 0, 0)))
    '▄█  '
    """
    most = max(histogram.counts) or 1
    return "".join(_BLOCKS[round(count / most * 8)] for count in histogram.counts)


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
