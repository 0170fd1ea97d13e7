"""Output: whether the model still answers as it used to."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.shares import Share
from otel_ml_exporter.mixin.groups.verdicts import both, enough, over
from otel_ml_exporter.mixin.pack import Alert, Group, Recording
from otel_ml_exporter.mixin.promql import BIN, FEATURE, MODEL, MODEL_VERSION, SIGNAL, VERSION, Queries, equal
from otel_ml_exporter.mixin.wording import COUNT, PERCENT, SCORE, label, look_up, of, top_three, value

CATEGORY = "output"
USUAL = "model_version:ml_prediction_top_answer:usual_ratio"


def outputs(queries: Queries) -> Group:
    """The output, compared with what the model used to answer."""
    answers = _answers(queries)
    recordings = [answers.threshold()]
    for window in queries.knobs.rate_windows:
        recordings += _top_answer(answers, window)
    recordings.append(_usual(answers))
    return Group(CATEGORY, "Does the model still answer as it used to?", (*recordings, _collapsed(answers), _shifted(queries)))


def _answers(queries: Queries) -> Share:
    return Share(
        level="model_version",
        by=MODEL_VERSION,
        part="ml_prediction_top_answer",
        whole="ml_prediction_observations",
        signal=names.SIGNAL_OUTPUT_SHARE,
        default=queries.knobs.output_share,
        minimum=queries.knobs.minimum_samples,
        queries=queries,
    )


def _top_answer(answers: Share, window: str) -> tuple[Recording, Recording]:
    def increase(by: str) -> str:
        return f"sum by ({by}) (increase({answers.queries.series(names.PREDICTION_OBSERVATIONS)}[{window}]))"

    part = f"max by ({MODEL_VERSION}) (\n    {increase(f'{MODEL_VERSION}, {BIN}')}\n)"
    return answers.recordings(window, part=part, whole=increase(MODEL_VERSION))


def _usual(answers: Share) -> Recording:
    """How common the commonest answer is when all is well: in the baseline, or where there is none, a long window ago."""
    queries = answers.queries
    baseline = queries.series(names.BASELINE_BIN_RATIO, equal(SIGNAL, names.SIGNAL_PREDICTION))
    before = f"{answers.ratio(queries.knobs.short_window)} offset {queries.knobs.long_window}"
    return Recording(USUAL, f"max by ({MODEL_VERSION}) ({baseline})\nor on ({MODEL_VERSION})\n  {before}")


def _collapsed(answers: Share) -> Alert:
    queries = answers.queries
    fast, slow = queries.knobs.rate_window, queries.knobs.short_window
    model = (MODEL, VERSION)
    matchers = ", ".join(of(*model))
    live = f"sum by ({BIN}) (increase({queries.series(names.PREDICTION_OBSERVATIONS, *of(*model))}[{fast}])) > 0"
    return Alert(
        name="ModelOutputCollapsed",
        expr=f"{answers.exceeded()}\nand on ({MODEL_VERSION})\n  {USUAL} < {queries.knobs.usual_share}",
        hold="15m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary=f"Model {label(MODEL)} gives one answer to everything",
        description=(
            f"Model {label(MODEL)} version {label(VERSION)} gave the same answer to {value(PERCENT)} of its rows over {fast} "
            f"(limit {look_up(f'{answers.limit}{{{matchers}}}', *model, form=PERCENT)}; usual share of the commonest answer "
            f"{look_up(f'{USUAL}{{{matchers}}}', *model, form=PERCENT)}; "
            f"{look_up(f'{answers.count(slow)}{{{matchers}}}', *model, form=COUNT)} predictions in {slow}). "
            f"Answers and counts: {top_three(live, *model, by=BIN, form=COUNT)}."
        ),
        action="Roll back if a deployment came before; else look for a constant or missing feature, and serve the fallback meanwhile.",
        dashboard="otel-ml-quality?model&version",
    )


def _shifted(queries: Queries) -> Alert:
    short, long = queries.knobs.short_window, queries.knobs.long_window
    model = (MODEL, VERSION)
    windows = [
        over(queries, names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR, names.SIGNAL_PREDICTION_PSI, window)
        for window in (short, long)
    ]
    limit = queries.limit(names.SIGNAL_PREDICTION_PSI, names.WARNING, *of(*model))
    floor = queries.score(names.PREDICTION_PSI_NOISE_FLOOR, short, *of(*model))
    samples = queries.samples(names.SIGNAL_PREDICTION, short, *of(*model))
    features = queries.windowed(names.FEATURE_PSI, short, *of(*model))
    return Alert(
        name="ModelPredictionShift",
        expr=both(*windows, enough(queries, names.SIGNAL_PREDICTION, short, queries.knobs.minimum_samples)),
        hold="15m",
        keep="1h",
        severity=names.WARNING,
        category=CATEGORY,
        summary=f"Model {label(MODEL)} answers differently than in its baseline",
        description=(
            f"Predictions of model {label(MODEL)} version {label(VERSION)} have PSI {value(SCORE)} over {short} "
            f"(limit {look_up(limit, *model, form=SCORE)}; noise floor {look_up(floor, *model, form=SCORE)}; "
            f"{look_up(samples, *model, form=COUNT)} predictions), and over {long} too. "
            f"Features that moved most, by PSI: {top_three(f'max by ({FEATURE}) ({features})', *model, by=FEATURE, form=SCORE)}."
        ),
        action="Compare the predictions with the features that moved; roll back if the shift began with a deployment.",
        dashboard="otel-ml-quality?model&version",
    )
