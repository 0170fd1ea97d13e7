"""Rollout: whether the new version may take over."""

from __future__ import annotations

from typing import Final

from otel_ml import catalogue as names
from otel_ml.catalogue import prometheus
from otel_ml_exporter.mixin.groups.shares import Share
from otel_ml_exporter.mixin.groups.verdicts import answering, both, enough
from otel_ml_exporter.mixin.pack import Alert, Group, Recording
from otel_ml_exporter.mixin.promql import (
    ACCEPTED,
    BIN,
    ERROR,
    FAILED,
    MODEL,
    MODEL_VERSION,
    REFERENCE,
    ROLE,
    VERSION,
    WINDOW,
    Queries,
    equal,
)
from otel_ml_exporter.mixin.wording import COUNT, NUMBER, PERCENT, SCORE, SUBJECT, label, look_up, of, top_three, value

CATEGORY = "rollout"
DASHBOARD: Final = "otel-ml-rollout?model"
RESULT: Final = prometheus(names.SHADOW_RESULT)
VERIFIED: Final = prometheus(names.VERIFICATION_RESULT)
Z: Final = 3
"""Standard errors between the shares of failed calls that chance passes once in 700 comparisons."""
GAP: Final = 0.01
"""The least difference between the shares that matters."""

CANARY_WORSE: Final = "ModelCanaryWorse"
CALLS: Final = "ml_rollout_calls"
ERRORS: Final = "ml_rollout_errors"
GREATER: Final = "model_version:ml_canary_errors:greater"
POOLED: Final = "model_version:ml_canary_errors:pooled"
SCORE_Z: Final = "model_version:ml_canary_errors:z"


def rollout(queries: Queries) -> Group:
    """The rollout: that the new version fails no more often than the old, and says the same."""
    shadow = _shadow(queries)
    recordings = [*_compared(queries), *shadow.thresholds()]
    for window in queries.knobs.rate_windows:
        recordings += _answers(shadow, window)
    alerts = (_worse(queries), _failing(queries), _differs(queries), _disagrees(shadow))
    return Group(CATEGORY, "May the new version take over?", (*recordings, *alerts))


def record(role: str, count: str) -> str:
    """The name of the recorded calls, or failed calls, of a role over half a short window's burn."""
    level = "model_version" if role == names.ROLE_CANARY else "model"
    return f"{level}:{count}:{role}"


def _compared(queries: Queries) -> list[Recording]:
    """Calls and failed calls of each canary and of all stable versions together, and how far apart their shares are."""
    window = queries.knobs.slow_burn_window
    recordings = []
    for role, by in ((names.ROLE_CANARY, MODEL_VERSION), (names.ROLE_STABLE, MODEL)):
        plays = f"group by ({MODEL_VERSION}) ({queries.series(names.MODEL_INFO, equal(ROLE, role))})"
        for count, matcher in ((CALLS, ACCEPTED), (ERRORS, FAILED)):
            calls = queries.series(names.INFERENCE_DURATION, matcher, suffix="_count")
            increase = f"sum by ({MODEL_VERSION}) (increase({calls}[{window}]))"
            counted = f"{increase}\n  and on ({MODEL_VERSION})\n    {plays}"
            summed = f"sum by ({by}) (\n  {counted}\n)"
            recordings.append(Recording(record(role, count), summed if count == CALLS else f"{summed}\nor\n  0 * {record(role, CALLS)}"))
    canary, stable = ({count: record(role, count) for count in (CALLS, ERRORS)} for role in (names.ROLE_CANARY, names.ROLE_STABLE))
    other = f"on ({MODEL}) group_left ()"
    gap = f"{canary[ERRORS]} / ({canary[CALLS]} > 0)\n- {other}\n  ({stable[ERRORS]} / ({stable[CALLS]} > 0))"
    pooled = f"({canary[ERRORS]} + {other} {stable[ERRORS]})\n/ on ({MODEL_VERSION})\n  ({canary[CALLS]} + {other} {stable[CALLS]})"
    spread = f"{POOLED} * (1 - {POOLED}) * (1 / {canary[CALLS]} + {other} (1 / {stable[CALLS]}))"
    z = f"{GREATER}\n/ on ({MODEL_VERSION})\n  sqrt(({spread}) > 0)"
    return [*recordings, Recording(GREATER, gap), Recording(POOLED, pooled), Recording(SCORE_Z, z)]


def worse(queries: Queries) -> str:
    """The canaries that fail a larger share of their calls than the stable version, by more than chance, with enough calls to tell."""
    return both(f"{SCORE_Z} > {Z}", f"  {record(names.ROLE_CANARY, CALLS)} >= {queries.knobs.minimum_samples}", f"  {GREATER} > {GAP}")


def _worse(queries: Queries) -> Alert:
    knobs = queries.knobs
    model = (MODEL, VERSION)
    window = knobs.slow_burn_window
    canary_errors, calls = (f"{record(names.ROLE_CANARY, count)}{{{', '.join(of(*model))}}}" for count in (ERRORS, CALLS))
    stable_errors, stable_calls = (f"{record(names.ROLE_STABLE, count)}{{{', '.join(of(MODEL))}}}" for count in (ERRORS, CALLS))
    share = look_up(f"{canary_errors} / {calls}", *model, *model, form=PERCENT)
    stable_share = look_up(f"{stable_errors} / {stable_calls}", MODEL, MODEL, form=PERCENT)
    kinds = queries.series(names.INFERENCE_DURATION, *of(*model), FAILED, suffix="_count")
    top = top_three(f"sum by ({ERROR}) (rate({kinds}[{knobs.rate_window}]))", *model, by=ERROR, form=NUMBER)
    return Alert(
        name=CANARY_WORSE,
        expr=worse(queries),
        hold="5m",
        keep="5m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary="The canary fails more calls than the stable version",
        description=(
            f"Version {label(VERSION)} of model {label(MODEL)}, the canary, failed {share} of its calls over {window}, the stable version "
            f"{stable_share}: {value(NUMBER)} standard errors apart (limits: {Z}, and a gap of {GAP:.0%}; "
            f"{look_up(calls, *model, form=COUNT)} calls of the canary, "
            f"{look_up(stable_calls, MODEL, form=COUNT)} of the stable version). Errors per second: {top}."
        ),
        action="Abort the rollout: send all calls to the stable version, then read the canary's log.",
        dashboard=DASHBOARD,
    )


def _failing(queries: Queries) -> Alert:
    """Each process says what came of the records the last time."""
    model = (MODEL, VERSION)
    wrong = f'{VERIFIED}=~"{names.VERIFICATION_MISMATCH}|{names.VERIFICATION_ERROR}"'
    records = queries.series(names.VERIFICATION_RECORDS, *of(*model))
    results = f"sum by ({VERIFIED}) ({records}) > 0"
    return Alert(
        name="ModelVerificationFailed",
        expr=f"sum by ({MODEL_VERSION}) ({queries.series(names.VERIFICATION_RECORDS, wrong)}) > 0\n{answering(queries)}",
        hold="1m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary="The model does not reproduce its golden records",
        description=(
            f"{SUBJECT}: {value(COUNT)} of {look_up(f'sum({records})', *model, form=COUNT)} golden records of its baseline got a different "
            f"answer than when the baseline was made, or none (limit 0). Records by result: "
            f"{top_three(results, *model, by=VERIFIED, form=COUNT)}. What is serving is not what was trained."
        ),
        action="Roll back, then compare the model file, its preprocessing and its libraries with those of the training job.",
        dashboard="otel-ml-monitor?model&version",
    )


def _differs(queries: Queries) -> Alert:
    short, model = queries.knobs.short_window, (MODEL, VERSION)
    against = f"{equal(WINDOW, short)}, {equal(REFERENCE, names.REFERENCE_STABLE)}"

    def score(metric: names.Metric, *matchers: str) -> str:
        return f"max by ({MODEL_VERSION}) ({queries.series(metric, against, *matchers)})"

    limit = queries.limit(names.SIGNAL_PREDICTION_PSI, names.WARNING)
    over = (
        f"(\n    {score(names.PREDICTION_PSI)}\n  > on ({MODEL_VERSION})\n    {limit}\n"
        f"  > on ({MODEL_VERSION})\n    {score(names.PREDICTION_PSI_NOISE_FLOOR)}\n)"
    )
    shown = queries.limit(names.SIGNAL_PREDICTION_PSI, names.WARNING, *of(*model))
    floor = score(names.PREDICTION_PSI_NOISE_FLOOR, *of(*model))
    samples = queries.samples(names.SIGNAL_PREDICTION, short, *of(*model))
    answers = f"sum by ({BIN}) (increase({queries.series(names.PREDICTION_OBSERVATIONS, *of(*model))}[{short}])) > 0"
    return Alert(
        name="ModelCanaryDiffers",
        expr=f"{both(over, enough(queries, names.SIGNAL_PREDICTION, short, queries.knobs.minimum_samples))}\n{answering(queries)}",
        hold="10m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The canary's predictions differ from the stable version's",
        description=(
            f"Predictions of version {label(VERSION)} of model {label(MODEL)}, the canary, have PSI {value(SCORE)} against the stable "
            f"version's over {short} (limit {look_up(shown, *model, form=SCORE)}; noise floor {look_up(floor, *model, form=SCORE)}; "
            f"{look_up(samples, *model, form=COUNT)} predictions). "
            f"Its most common answers: {top_three(answers, *model, by=BIN, form=COUNT)}."
        ),
        action="Hold the promotion until the model's owner says that this is intended; check that both get the same kind of calls.",
        dashboard=DASHBOARD,
    )


def _shadow(queries: Queries) -> Share:
    return Share(
        level="model_version",
        by=MODEL_VERSION,
        part="ml_shadow_disagreements",
        whole="ml_shadow_comparisons",
        signal=names.SIGNAL_SHADOW_DISAGREEMENT,
        default=queries.knobs.shadow_disagreement,
        minimum=queries.knobs.minimum_samples,
        queries=queries,
        severity=names.WARNING,
    )


def _answers(shadow: Share, window: str) -> tuple[Recording, Recording]:
    """Only rows that both answered are compared; what the shadow failed or missed is on the dashboard."""

    def rows(results: str) -> str:
        compared = shadow.queries.series(names.SHADOW_COMPARISONS, f'{RESULT}=~"{results}"')
        return f"sum by ({MODEL_VERSION}) (increase({compared}[{window}]))"

    part, whole = rows(names.SHADOW_DISAGREE), rows(f"{names.SHADOW_AGREE}|{names.SHADOW_DISAGREE}")
    return shadow.recordings(window, part=part, whole=whole)


def _disagrees(shadow: Share) -> Alert:
    queries, model = shadow.queries, (MODEL, VERSION)
    fast, slow = queries.knobs.rate_window, queries.knobs.short_window
    limit = look_up(f"{shadow.limit}{{{', '.join(of(*model))}}}", *model, form=PERCENT)
    rows = look_up(f"{shadow.count(slow)}{{{', '.join(of(*model))}}}", *model, form=COUNT)
    results = f"sum by ({RESULT}) (increase({queries.series(names.SHADOW_COMPARISONS, *of(*model))}[{slow}])) > 0"
    return Alert(
        name="ModelShadowDisagrees",
        expr=shadow.exceeded(),
        hold="10m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The shadow disagrees with the serving version",
        description=(
            f"{SUBJECT}: on {value(PERCENT)} of the rows over {fast} the shadow and the serving version disagree "
            f"(limit {limit}; {rows} rows compared in {slow}). Rows by result: {top_three(results, *model, by=RESULT, form=COUNT)}."
        ),
        action="Hold the promotion; look at rows on which they disagree, and have someone decide which is right.",
        dashboard=DASHBOARD,
    )
