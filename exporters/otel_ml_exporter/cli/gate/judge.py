"""Whether one version is worse than another: an effect that matters, evidence beyond chance, and enough of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from otel_ml import stats
from otel_ml_exporter.cli.gate.counts import Served
from otel_ml_exporter.mixin.delivery import MOST_GAP, MOST_Z, Limits

PASS: Final = "pass"  # noqa: S105 - no password
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"


@dataclass(frozen=True)
class Judgement:
    """One check: its verdict, and the numbers it rests on as a sentence."""

    check: str
    verdict: str
    reason: str


def errors(canary: Served, stable: Served, limits: Limits) -> Judgement:
    """Shares of failed calls, by the z of two proportions, each with one call more of both kinds."""
    few = _few("errors", "calls", canary.calls, stable.calls, limits.minimum)
    if few:
        return few
    worse, usual = canary.failed / canary.calls, stable.failed / stable.calls
    pooled = (canary.failed + stable.failed + 1) / (canary.calls + stable.calls + 2)
    z = (worse - usual) / math.sqrt(pooled * (1 - pooled) * (1 / canary.calls + 1 / stable.calls))
    told = f"{worse:.2%} of {canary.calls:.0f} calls fail, {usual:.2%} of {stable.calls:.0f} of the stable (z {z:.1f}, limit {MOST_Z})"
    return Judgement("errors", FAIL if z > MOST_Z and worse - usual > limits.error_margin else PASS, told)


def latency(canary: Served, stable: Served, limits: Limits) -> Judgement:
    """A quantile of the durations; the evidence is the largest gap between the cumulative shares, of Kolmogorov and Smirnov."""
    few = _few("latency", "calls", canary.calls, stable.calls, limits.minimum)
    if few:
        return few
    if set(canary.within) != set(stable.within) or not canary.within:
        return Judgement("latency", INCONCLUSIVE, "the versions have no buckets in common; give both the same histogram boundaries")
    worse, usual = quantile(canary.within, limits.quantile), quantile(stable.within, limits.quantile)
    gap = max(stable.within[bound] / stable.calls - canary.within[bound] / canary.calls for bound in stable.within)
    scaled = gap * math.sqrt(canary.calls * stable.calls / (canary.calls + stable.calls))
    told = (
        f"{limits.quantile:.0%} of the calls take up to {worse:.3g} s, {usual:.3g} s of the stable "
        f"(gap of the distributions {scaled:.1f}, limit {MOST_GAP})"
    )
    return Judgement("latency", FAIL if scaled > MOST_GAP and worse > usual * (1 + limits.latency_margin) else PASS, told)


def predictions(canary: Served, stable: Served, limits: Limits) -> Judgement:
    """PSI of the predictions against the stable version's, over the noise floor of both."""
    counted = sum(canary.predictions.values()), sum(stable.predictions.values())
    few = _few("predictions", "predictions", *counted, limits.minimum)
    if few:
        return few
    if set(canary.predictions) != set(stable.predictions):
        mend = "build the new baseline with the edges of the old one, or leave this check out with --checks errors,latency"
        return Judgement("predictions", INCONCLUSIVE, f"the versions count in different bins; {mend}")
    psi = stats.psi(list(stable.predictions.values()), [canary.predictions[label] for label in stable.predictions])
    limit = max(limits.psi, psi.noise_floor)
    evidence = f"limit {limits.psi:g}, noise floor {psi.noise_floor:.3f}"
    told = f"PSI {psi.value:.3f} over {counted[0]:.0f} and {counted[1]:.0f} predictions ({evidence})"
    return Judgement("predictions", FAIL if psi.value > limit else PASS, told)


def quantile(within: Mapping[float, float], share: float) -> float:
    """The duration that a share of calls stays below, as `histogram_quantile` has it: straight lines between bounds.

    >>> quantile({1.0: 50.0, 2.0: 100.0, math.inf: 100.0}, 0.75)
    1.5
    """
    bounds = sorted(within)
    rank = share * within[bounds[-1]]
    before = [(0.0, 0.0), *((bound, within[bound]) for bound in bounds)]
    for (low, below), (high, upto) in pairwise(before):
        if upto >= rank:
            return low if math.isinf(high) or upto == below else low + (high - low) * (rank - below) / (upto - below)
    return math.nan


def overall(judgements: list[Judgement]) -> str:
    """Fail when one fails; else inconclusive when one is."""
    verdicts = {judgement.verdict for judgement in judgements}
    return next((verdict for verdict in (FAIL, INCONCLUSIVE) if verdict in verdicts), PASS)


def _few(check: str, what: str, canary: float, stable: float, minimum: int) -> Judgement | None:
    """Inconclusive where one of the versions has too little to show."""
    if min(canary, stable) >= minimum:
        return None
    return Judgement(
        check, INCONCLUSIVE, f"{canary:.0f} {what} of the canary and {stable:.0f} of the stable version, {minimum} of each are needed"
    )
