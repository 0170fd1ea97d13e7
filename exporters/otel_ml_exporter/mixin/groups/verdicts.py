"""Alerts on the exporter's scores: an effect over its limit, evidence over chance, and enough samples."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.mixin.promql import MODEL_VERSION, ROLE, Queries, equal


def over(queries: Queries, score: Metric, floor: Metric, signal: str, window: str) -> str:
    """A score that is over its warning threshold and over its noise floor."""
    return (
        f"(\n    {queries.score(score, window)}\n  > on ({MODEL_VERSION})\n    {queries.limit(signal, names.WARNING)}\n"
        f"  > on ({MODEL_VERSION})\n    {queries.score(floor, window)}\n)"
    )


def past(score: str, sign: str, limit: str) -> str:
    """A score that is past its limit; both sides have one series for each model and version, the score perhaps several."""
    return f"(\n    {score}\n  {sign} on ({MODEL_VERSION}) group_left ()\n    {limit}\n)"


def served(queries: Queries) -> str:
    """The models and versions that are served now: nobody mends what is retired."""
    return f"  {queries.series(names.MODEL_INFO)}"


def answering(queries: Queries) -> str:
    """Leaves out versions that only run as a shadow, whose answers nobody gets."""
    shadow, others = (
        queries.series(names.MODEL_INFO, matcher) for matcher in (equal(ROLE, names.ROLE_SHADOW), f'{ROLE}!="{names.ROLE_SHADOW}"')
    )
    return f"unless on ({MODEL_VERSION}) (\n    {shadow}\n  unless on ({MODEL_VERSION})\n    {others}\n)"


def enough(queries: Queries, signal: str, window: str, minimum: int) -> str:
    """The windows with at least `minimum` samples."""
    return f"  {queries.samples(signal, window)} >= {minimum}"


def both(*conditions: str) -> str:
    """Models and versions for which every condition holds, with the number of the first."""
    return f"\nand on ({MODEL_VERSION})\n".join(conditions)
