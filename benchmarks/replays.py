"""Windows of data compared with a baseline: by the exporter's own code, and by three usual rules beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import kolmogorov
from scipy.stats import chi2_contingency

from otel_ml import Baseline, Monitor, testing
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate import FeatureScore, evaluate
from otel_ml_exporter.thresholds import Limits

MODEL = "replay"
LIMITS = Limits(minimum_samples=1)
"""The defaults, but for the floor of 100 rows, so that windows of 50 can be judged too."""
EXPECTED = 5
"""Categories that are expected less often in a window are pooled before their chi-square."""
OURS, INFORMED, KS, KS_BONFERRONI, PLAIN_PSI = "otel-ml", "otel-ml, design effect", "KS 5 %", "KS Bonferroni", "PSI > 0.1"
METHODS = (OURS, INFORMED, KS, KS_BONFERRONI, PLAIN_PSI)

Named = Mapping[str, Sequence[str]]
"""For each rule the features that it calls drifted, the most conspicuous first."""

_versions = count(1)


class Watch:
    """A baseline of `reference`, and what windows look like against it; `options` are those of `Baseline.from_data`."""

    def __init__(self, reference: pd.DataFrame, **options: Any) -> None:
        self.baseline = Baseline.from_data(reference, model=MODEL, version=str(next(_versions)), **options)
        self._names = [feature.name for feature in self.baseline.features]
        numeric = [feature.name for feature in self.baseline.features if feature.type == "numeric"]
        self._sorted = {name: np.sort(reference[name].dropna().to_numpy(float)) for name in numeric}
        self._tallied = {name: Counter(reference[name]) for name in self._names if name not in numeric}
        self._monitor = Monitor(self.baseline)
        self._count: Callable[[pd.DataFrame], object] = self._monitor.wrap(lambda _: None)

    def scores(self, window: pd.DataFrame) -> tuple[FeatureScore, ...]:
        """The rows counted by the real monitor, and the counts judged by the real exporter."""
        return evaluate(self.baseline, [self._counts(window)], "replay", LIMITS).scores

    def p_values(self, window: pd.DataFrame) -> dict[str, float]:
        """KS for each numeric feature, chi-square for each categorical one."""
        numeric = {name: ks_p_value(known, window[name].dropna().to_numpy(float)) for name, known in self._sorted.items()}
        return numeric | {name: chi2_p_value(known, Counter(window[name])) for name, known in self._tallied.items()}

    def _counts(self, window: pd.DataFrame) -> ModelCounts:
        before = testing.collect(self._monitor)
        self._count(window[self._names])
        after = testing.collect(self._monitor)
        features, violations = _increase(before.features, after.features), _increase(before.violations, after.violations)
        return ModelCounts(MODEL, self.baseline.version, self.baseline.fingerprint, features, violations, {}, {}, {})


def _increase(before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    return {name: {key: now - before[name][key] for key, now in counts.items()} for name, counts in after.items()}


def ks_p_value(reference: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> float:
    """The asymptotic p-value of the two-sample Kolmogorov-Smirnov test; `reference` is sorted."""
    if not values.size:
        return 1.0
    ordered = np.sort(values)
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    shares = [[np.searchsorted(known, ordered, side) / known.size for known in (reference, ordered)] for side in sides]
    distance = max(float(np.abs(known - own).max()) for known, own in shares)
    return float(kolmogorov(distance * np.sqrt(reference.size * ordered.size / (reference.size + ordered.size))))


def chi2_p_value(reference: Counter[Any], window: Counter[Any]) -> float:
    """The p-value of the homogeneity test, rare and new categories pooled."""
    share = window.total() / reference.total()
    frequent = [label for label, known in reference.items() if known * share >= EXPECTED]
    table = np.array([[tallied[label] for label in frequent] for tallied in (reference, window)], dtype=float)
    rest = np.array([[reference.total()], [window.total()]]) - table.sum(axis=1, keepdims=True)
    table = np.hstack([table, rest]) if rest.sum() else table
    return float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0


def named(window: pd.DataFrame, watch: Watch, informed: Watch) -> Named:
    """What each rule names in a window; `informed` is a watch of the same reference whose baseline knows the design effect."""
    scores, p_values = watch.scores(window), watch.p_values(window)
    return {
        OURS: _by_psi(score for score in scores if score.drifted),
        INFORMED: _by_psi(score for score in informed.scores(window) if score.drifted),
        KS: _below(p_values, 0.05),
        KS_BONFERRONI: _below(p_values, 0.05 / len(p_values)),
        PLAIN_PSI: _by_psi(score for score in scores if score.psi.value > 0.1),
    }


def _by_psi(scores: Iterable[FeatureScore]) -> list[str]:
    return [score.feature.name for score in sorted(scores, key=lambda score: -score.psi.value)]


def _below(p_values: Mapping[str, float], limit: float) -> list[str]:
    return sorted((name for name, p in p_values.items() if p < limit), key=lambda name: p_values[name])


def consecutive(rows: pd.DataFrame, size: int, most: int) -> Sequence[pd.DataFrame]:
    """At most `most` windows of `size` rows in the order of time, none overlapping, spread over all of `rows`."""
    starts = np.arange(0, len(rows) - size + 1, size)
    chosen = starts if len(starts) <= most else starts[np.linspace(0, len(starts) - 1, most).astype(int)]
    return [rows.iloc[start : start + size] for start in chosen]


def thirty_features(random: np.random.Generator, rows: int) -> pd.DataFrame:
    """Independent rows of 30 features: normal, long-tailed, tied, with nulls, mostly zero, and categories few and many."""
    columns: dict[str, Any] = {f"normal{i}": random.normal(size=rows) for i in range(6)}
    columns |= {f"lognormal{i}": random.lognormal(sigma=1 + i / 4, size=rows) for i in range(5)}
    columns |= {f"uniform{i}": random.random(rows) for i in range(3)}
    columns |= {f"poisson{i}": random.poisson(1 + 3 * i, rows).astype(float) for i in range(4)}
    columns |= {f"nulls{i}": np.where(random.random(rows) < 0.1 * (i + 1), np.nan, random.normal(size=rows)) for i in range(2)}
    columns |= {f"zeros{i}": np.where(random.random(rows) < 0.9, 0.0, random.lognormal(size=rows)) for i in range(2)}
    for i, categories in enumerate((2, 3, 5, 8, 12, 20, 40, 100)):
        share = 1 / np.arange(1, categories + 1)
        columns[f"category{i}"] = [f"k{choice}" for choice in random.choice(categories, rows, p=share / share.sum())]
    return pd.DataFrame(columns)


def repeated(random: np.random.Generator, rows: int, times: int) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """`rows` rows in which each distinct one occurs `times` times, and the key of each."""
    keys = np.arange(rows) // times
    return thirty_features(random, -(-rows // times)).iloc[keys].reset_index(drop=True), keys
