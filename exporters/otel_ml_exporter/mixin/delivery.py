"""Gates of progressive delivery: one query a check for Argo Rollouts and Flagger, and the limits that `otel-ml gate` shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.mixin.grouping import matched
from otel_ml_exporter.mixin.promql import ACCEPTED, BIN, FAILED, MODEL, VERSION, Queries, equal

ERRORS: Final = "errors"
LATENCY: Final = "latency"
PREDICTIONS: Final = "predictions"
CHECKS: Final = (ERRORS, LATENCY, PREDICTIONS)

MOST_Z: Final = 3.0
"""One-sided, chance gives more in one comparison of 740."""
MOST_GAP: Final = 1.82
"""Of the scaled Kolmogorov-Smirnov gap, one-sided: as rare as `MOST_Z`, by exp(-2 x^2)."""
_NORMAL_99: Final = 2.326


@dataclass(frozen=True)
class Limits:
    """The calls and predictions that each version must have, and the differences that do not matter."""

    minimum: int = 200
    error_margin: float = 0.001
    latency_margin: float = 0.25
    quantile: float = 0.95
    psi: float = 0.1


@dataclass(frozen=True)
class Rollout:
    """How a tool writes the model, its two versions and the window in a query."""

    model: str
    canary: str
    stable: str
    window: str


@dataclass(frozen=True)
class Gate:
    """One check: its query gives one number, which passes up to `limit`; no number where there is too little evidence."""

    check: str
    brief: str
    expr: str
    limit: float


def gates(queries: Queries, rollout: Rollout, limits: Limits) -> tuple[Gate, ...]:
    """The three checks, as `otel-ml gate` judges them."""
    latency = f"quantile {limits.quantile:g} of the canary's latency over the stable's; 0 where chance explains the difference"
    return (
        Gate(ERRORS, "z of the shares of failed calls; 0 where the difference does not matter", _errors(queries, rollout, limits), MOST_Z),
        Gate(LATENCY, latency, _latency(queries, rollout, limits), 1 + limits.latency_margin),
        Gate(PREDICTIONS, "PSI of the predictions over its limit or noise floor", _predictions(queries, rollout, limits), 1.0),
    )


def _increase(queries: Queries, rollout: Rollout, version: str, metric: Metric, *matchers: str, suffix: str = "", by: str = "") -> str:
    chosen = (f'{MODEL}="{rollout.model}"', f'{VERSION}="{version}"', *matchers)
    inside = f"increase({queries.series(metric, *chosen, suffix=suffix)}[{rollout.window}])"
    return f"sum by ({by}) ({inside})" if by else f"sum({inside})"


def _calls(queries: Queries, rollout: Rollout, version: str) -> str:
    return _increase(queries, rollout, version, names.INFERENCE_DURATION, ACCEPTED, suffix="_count")


def _errors(queries: Queries, rollout: Rollout, limits: Limits) -> str:
    calls = [_calls(queries, rollout, version) for version in (rollout.canary, rollout.stable)]
    failed = [
        f"({_increase(queries, rollout, version, names.INFERENCE_DURATION, FAILED, suffix='_count')} or 0 * {count})"
        for version, count in zip((rollout.canary, rollout.stable), calls, strict=True)
    ]
    difference = f"({failed[0]} / {calls[0]} - {failed[1]} / {calls[1]})"
    pooled = f"(({failed[0]} + {failed[1]} + 1) / ({calls[0]} + {calls[1]} + 2))"
    error = f"sqrt({pooled} * (1 - {pooled}) * (1 / {calls[0]} + 1 / {calls[1]}))"
    worse = f"{difference} / {error}\n* ({difference} > bool {limits.error_margin})"
    return f"{worse}\n{_enough(calls, limits)}\n{_serve(queries, rollout)}"


def _latency(queries: Queries, rollout: Rollout, limits: Limits) -> str:
    calls = [_calls(queries, rollout, version) for version in (rollout.canary, rollout.stable)]
    canary, stable = (
        _increase(queries, rollout, version, names.INFERENCE_DURATION, ACCEPTED, suffix="_bucket", by="le")
        for version in (rollout.canary, rollout.stable)
    )
    gap = f"max({stable} / on () group_left () {calls[1]} - on (le) {canary} / on () group_left () {calls[0]})"
    scale = f"sqrt({calls[0]} * {calls[1]} / ({calls[0]} + {calls[1]}))"
    ratio = f"histogram_quantile({limits.quantile}, {canary}) / histogram_quantile({limits.quantile}, {stable})"
    return f"{ratio}\n* ({gap} * {scale} > bool {MOST_GAP})\n{_enough(calls, limits)}\n{_serve(queries, rollout)}"


def _predictions(queries: Queries, rollout: Rollout, limits: Limits) -> str:
    bins = [_increase(queries, rollout, version, names.PREDICTION_OBSERVATIONS, by=BIN) for version in (rollout.canary, rollout.stable)]
    count, samples = f"count({bins[0]})", [f"sum({each})" for each in bins]
    p, q = (f"({each} + 0.5) / on () group_left () ({total} + 0.5 * {count})" for each, total in zip(bins, samples, strict=True))
    psi = f"sum(\n    ({p} - on ({BIN}) {q})\n  * on ({BIN}) ln(({p}) / on ({BIN}) ({q}))\n)"
    degrees = f"({count} - 1)"
    chi_square = f"{degrees} * (1 - 2 / (9 * {degrees}) + {_NORMAL_99} * sqrt(2 / (9 * {degrees}))) ^ 3"
    floor = f"{chi_square} * (1 / {samples[0]} + 1 / {samples[1]})"
    same = f"and {count} == count({bins[1]}) == count({bins[0]} and on ({BIN}) {bins[1]})"
    return f"{psi}\n/ clamp_min({floor}, {limits.psi})\n{_enough(samples, limits)}\n{same}\n{_serve(queries, rollout)}"


def _enough(counts: list[str], limits: Limits) -> str:
    return "\n".join(f"and {count} >= {limits.minimum}" for count in counts)


def _serve(queries: Queries, rollout: Rollout) -> str:
    """Both versions report now: the counts of one that died stay in the window, and have nothing against it."""
    chosen = (f'{MODEL}="{rollout.model}", {VERSION}="{version}"' for version in (rollout.canary, rollout.stable))
    return "\n".join(f"and group({queries.series(names.MODEL_INFO, each)})" for each in chosen)


def argo(queries: Queries) -> dict[str, Any]:
    """An AnalysisTemplate; an empty result, and one that is no number, make neither condition true, which is inconclusive.

    Four inconclusive measurements of five pause the rollout: a limit of five would let five pass for a success.
    """
    labels = queries.knobs.group_labels
    given = gates(queries, Rollout("{{args.model}}", "{{args.canary}}", "{{args.stable}}", "{{args.window}}"), Limits())
    place = [equal(label, f"{{{{args.{label}}}}}") for label in labels]
    metrics = [
        {
            "name": gate.check,
            "interval": "2m",
            "count": 5,
            "failureLimit": 0,
            "inconclusiveLimit": 3,
            "successCondition": f"len(result) > 0 && result[0] <= {gate.limit}",
            "failureCondition": f"len(result) > 0 && result[0] > {gate.limit}",
            "provider": {"prometheus": {"address": "{{args.prometheus}}", "query": matched(gate.expr, place)}},
        }
        for gate in given
    ]
    args = [
        *({"name": label} for label in labels),
        {"name": "model"},
        {"name": "canary"},
        {"name": "stable"},
        {"name": "window", "value": "10m"},
        {"name": "prometheus", "value": queries.knobs.prometheus_url},
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "otel-ml"},
        "spec": {"args": args, "metrics": metrics},
    }


def flagger(queries: Queries) -> dict[str, dict[str, Any]]:
    """A MetricTemplate for each check; the versions come from the `templateVariables` of the canary's metric."""
    place = [equal(label, f"{{{{ variables.{label} }}}}") for label in queries.knobs.group_labels]
    variables = ("{{ variables.model }}", "{{ variables.canary }}", "{{ variables.stable }}")
    return {
        gate.check: {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "MetricTemplate",
            "metadata": {"name": f"otel-ml-{gate.check}"},
            "spec": {"provider": {"type": "prometheus", "address": queries.knobs.prometheus_url}, "query": matched(gate.expr, place)},
        }
        for gate in gates(queries, Rollout(*variables, "{{ interval }}"), Limits())
    }
