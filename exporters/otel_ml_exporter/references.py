"""The stable version of a model as the reference of its canaries and shadows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from otel_ml.baseline import Baseline, Histogram
from otel_ml.catalogue import ROLE_CANARY, ROLE_SHADOW, ROLE_STABLE
from otel_ml_exporter.baselines import Watched
from otel_ml_exporter.counts import ModelCounts, Roles


def stable_counts(watched: Watched, others: Sequence[Watched], counts: Sequence[ModelCounts], roles: Roles) -> ModelCounts | None:
    """What the stable version of a canary's or shadow's model counted, as far as both have the same bins; None for any other role.

    `others` are the versions whose baselines are known; of several stable ones, as in a rollout, that with the most predictions.
    """
    if roles.get(_identity(watched.baseline)) not in (ROLE_CANARY, ROLE_SHADOW):
        return None
    known = {
        _identity(other.baseline): other.baseline
        for other in others
        if other.baseline.model == watched.baseline.model and roles.get(_identity(other.baseline)) == ROLE_STABLE
    }
    found = [entry for entry in counts if (entry.model, entry.version, entry.baseline_id) in known]
    if not found:
        return None
    entry = max(found, key=lambda entry: (sum(entry.predictions.values()), entry.version))
    return comparable(watched.baseline, known[entry.model, entry.version, entry.baseline_id], entry)


def comparable(baseline: Baseline, other: Baseline, counts: ModelCounts) -> ModelCounts:
    """Those counts of the `other` baseline's version whose bins are the same in both; distances and energies never are."""
    theirs = {feature.name: feature for feature in other.features}
    features = {
        feature.name: counts.features[feature.name]
        for feature in baseline.features
        if feature.name in counts.features
        and (twin := theirs.get(feature.name)) is not None
        and twin.source == feature.source
        and _same(feature.histogram, twin.histogram)
    }
    others = {output.name: output.histogram for output in other.outputs}
    alike = baseline.confidence_measure == other.confidence_measure
    return replace(
        counts,
        features=features,
        predictions=counts.predictions if _same(baseline.prediction, other.prediction) else {},
        confidences=counts.confidences if alike and _same(baseline.confidence, other.confidence) else {},
        outliers={},
        energies={},
        outputs={
            output.name: counts.outputs[output.name]
            for output in baseline.outputs
            if output.name in counts.outputs and _same(output.histogram, others.get(output.name))
        },
    )


def _same(one: Histogram | None, other: Histogram | None) -> bool:
    return one is not None and other is not None and (one.edges, one.categories) == (other.edges, other.categories)


def _identity(baseline: Baseline) -> tuple[str, str, str]:
    return baseline.model, baseline.version, baseline.fingerprint
