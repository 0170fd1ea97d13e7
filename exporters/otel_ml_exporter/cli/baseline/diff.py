"""`otel-ml baseline diff`: what changed from one baseline to another."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from otel_ml import Baseline, stats
from otel_ml.baseline import Feature, Histogram
from otel_ml.catalogue import MISSING, OTHER
from otel_ml_exporter.cli.baseline.show import print_table

EFFECT = 0.05
"""The PSI below which a shift does not matter, as in `docs/explanation/verdict.md`."""
ALPHA = 0.01


@dataclass(frozen=True)
class Change:
    """One quantity in both baselines: its distance, what chance gives, the verdict, and what else changed."""

    name: str
    verdict: str
    psi: float | None = None
    noise_floor: float | None = None
    notes: tuple[str, ...] = ()


def diff(options: argparse.Namespace) -> int:
    """Print what changed from A to B; 1 when anything drifted, or is in one of them only, or cannot be compared."""
    before, after = Baseline.load(options.before), Baseline.load(options.after)
    changes = list(compare(before, after))
    quality = {name: (before.performance.get(name), after.performance.get(name)) for name in {**before.performance, **after.performance}}
    different = any(change.verdict != "same" for change in changes)
    if options.json:
        identities = {"before": before.fingerprint, "after": after.fingerprint, "different": different}
        print(json.dumps({**identities, "changes": [asdict(change) for change in changes], "performance": quality}))
        return int(different)
    for letter, baseline in (("A", before), ("B", after)):
        print(f"{letter}  {baseline.model} {baseline.version}  {baseline.samples:,} rows  id {baseline.fingerprint}")
    print()
    print_table([("", "psi", "floor", "verdict", ""), *map(_row, changes)])
    told = [f"{name} {_number(old)} -> {_number(new)}" for name, (old, new) in quality.items() if old != new]
    if told:
        print("\n" + "  ".join(told))
    return int(different)


def compare(before: Baseline, after: Baseline) -> Iterator[Change]:
    """The features in the order of A, then those that B adds, then predictions and confidence."""
    old, new = ({feature.name: feature for feature in baseline.features} for baseline in (before, after))
    alpha = ALPHA / len(old | new)
    for name, feature in old.items():
        yield _feature(feature, new[name], alpha) if name in new else Change(name, "removed")
    yield from (Change(name, "added") for name in new if name not in old)
    if before.task != after.task:
        yield Change("(task)", "changed", notes=(f"{before.task} -> {after.task}",))
    if before.classes != after.classes:
        yield Change("(classes)", "changed", notes=(f"{', '.join(before.classes)} -> {', '.join(after.classes)}",))
    pairs = [("(prediction)", before.prediction, after.prediction)]
    if before.confidence_measure == after.confidence_measure:
        pairs.append(("(confidence)", before.confidence, after.confidence))
    else:
        yield Change("(confidence)", "changed", notes=(f"{before.confidence_measure} -> {after.confidence_measure}",))
    theirs = {output.name: output.histogram for output in after.outputs}
    pairs += [(f"({output.name})", output.histogram, theirs.pop(output.name, None)) for output in before.outputs]
    pairs += [(f"({name})", None, histogram) for name, histogram in theirs.items()]
    effect = max(before.prediction_design_effect, after.prediction_design_effect)
    for name, one, other in pairs:
        if one is not None and other is not None:
            yield _distance(name, one, other, alpha=ALPHA, design_effect=effect)
        elif one is not None or other is not None:
            yield Change(name, "added" if one is None else "removed")


def _feature(old: Feature, new: Feature, alpha: float) -> Change:
    if old.type != new.type:
        return Change(old.name, "type", notes=(f"{old.type} -> {new.type}",))
    effect = max(old.design_effect, new.design_effect)
    return _distance(old.name, old.histogram, new.histogram, alpha=alpha, design_effect=effect, notes=tuple(_notes(old, new)))


def _notes(old: Feature, new: Feature) -> Iterator[str]:
    if (old.minimum, old.maximum) != (new.minimum, new.maximum):
        yield f"range {_number(old.minimum)} .. {_number(old.maximum)} -> {_number(new.minimum)} .. {_number(new.maximum)}"
    for word, names in (("new", set(new.vocabulary) - set(old.vocabulary)), ("gone", set(old.vocabulary) - set(new.vocabulary))):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield f"{word}: {', '.join(sorted(names)[:3])}{more}"


def _distance(name: str, old: Histogram, new: Histogram, *, alpha: float, design_effect: float, notes: tuple[str, ...] = ()) -> Change:
    counts = _common_bins(old, new)
    if counts is None:
        return Change(name, "incomparable", notes=("the bins differ; build B with --like A", *notes))
    if not (old.samples and new.samples):
        return Change(name, "same" if old.samples == new.samples else "incomparable", notes=("one counted nothing", *notes))
    psi = stats.psi(*counts, alpha=alpha, design_effect=design_effect)
    verdict = "drift" if psi.value > max(EFFECT, psi.noise_floor) else "same"
    return Change(name, verdict, psi.value, psi.noise_floor, notes)


def _common_bins(old: Histogram, new: Histogram) -> tuple[list[float], list[float]] | None:
    """Both counts in bins that both have; categories that only one has go to `__other__`, intervals are joined at common edges.

    None for a number and a category, or where fewer than two edges are common: nothing would be left to see.
    """
    if old.edges is not None and new.edges is not None:
        edges = [edge for edge in old.edges if edge in new.edges]
        same = old.edges == new.edges
        return (_between(old, edges), _between(new, edges)) if same or len(edges) >= 2 else None
    if old.edges is not None or new.edges is not None:
        return None
    common = [label for label in old.categories if label in new.categories]
    return _folded(old, common), _folded(new, common)


def _between(histogram: Histogram, edges: Sequence[float]) -> list[float]:
    """Counts of the intervals between `edges`, each the sum of whole intervals, then of the reserved bins."""
    assert histogram.edges is not None
    bounds = [0, *(histogram.edges.index(edge) + 1 for edge in edges), len(histogram.edges) + 1]
    joined = [float(sum(histogram.counts[first:last])) for first, last in pairwise(bounds)]
    return [*joined, *map(float, histogram.counts[-2:])]


def _folded(histogram: Histogram, kept: list[str]) -> list[float]:
    bins = dict(zip(histogram.labels, histogram.counts, strict=True))
    counts = [float(bins[label]) for label in (*kept, MISSING)]
    return [*counts, bins[OTHER] + sum(count for label, count in bins.items() if label not in (*kept, MISSING, OTHER))]


def _row(change: Change) -> tuple[str, ...]:
    numbers = ("", "") if change.psi is None or change.noise_floor is None else (f"{change.psi:.3f}", f"{change.noise_floor:.3f}")
    return change.name, *numbers, change.verdict, "; ".join(change.notes)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
