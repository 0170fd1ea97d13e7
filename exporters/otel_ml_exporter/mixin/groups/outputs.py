"""Output: whether the model still answers as it used to."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.mixin.durations import scaled
from otel_ml_exporter.mixin.groups.heads import output_shifted
from otel_ml_exporter.mixin.groups.shares import Share
from otel_ml_exporter.mixin.groups.verdicts import both, enough, over, past
from otel_ml_exporter.mixin.pack import Alert, Group, Recording
from otel_ml_exporter.mixin.promql import BIN, FEATURE, MODEL, MODEL_VERSION, SIGNAL, VERSION, Queries, equal
from otel_ml_exporter.mixin.wording import COUNT, MODEL_AND_VERSION, NUMBER, PERCENT, SCORE, SUBJECT, look_up, of, top_three, value

CATEGORY = "output"
BEYOND = f'{BIN}=~".*, inf]"'
"""The last interval: of outlier scores and of energies the one that 0.1 % of the baseline's rows are in."""
DAYS = 7
"""Long windows for which a collapse is remembered where no baseline tells what is usual."""
USUAL = "model_version:ml_prediction_top_answer:usual_ratio"


def outputs(queries: Queries) -> Group:
    """The output, compared with what the model used to answer."""
    answers, abstentions = _answers(queries), _abstentions(queries)
    outliers, energies = (
        _beyond(queries, "ml_outliers", names.OUTLIER_OBSERVATIONS),
        _beyond(queries, "ml_energies", names.ENERGY_OBSERVATIONS),
    )
    recordings = [recording for share in (answers, outliers, abstentions) for recording in share.thresholds()]
    for window in queries.knobs.rate_windows:
        recordings += _top_answer(answers, window)
        for share, metric in ((outliers, names.OUTLIER_OBSERVATIONS), (energies, names.ENERGY_OBSERVATIONS)):
            recordings += share.recordings(
                window, part=_increase(queries, metric, window, BEYOND), whole=_increase(queries, metric, window)
            )
        recordings += abstentions.recordings(
            window, part=_increase(queries, names.PREDICTION_ABSTENTIONS, window), whole=_increase(queries, names.INFERENCE_ROWS, window)
        )
    recordings.append(_usual(answers))
    alerts = (
        _collapsed(answers),
        _shifted(queries),
        output_shifted(queries, CATEGORY),
        _unsure(queries),
        _outlying(outliers, energies),
        _abstaining(abstentions),
    )
    return Group(CATEGORY, "Does the model still answer as it used to?", (*recordings, *alerts))


def _increase(queries: Queries, metric: Metric, window: str, *matchers: str) -> str:
    return f"sum by ({MODEL_VERSION}) (increase({queries.series(metric, *matchers)}[{window}]))"


def _beyond(queries: Queries, part: str, metric: Metric) -> Share:
    return Share(
        level="model_version",
        by=MODEL_VERSION,
        part=part,
        whole=metric.prometheus.removesuffix("_total"),
        signal=names.SIGNAL_OUTLIER_SHARE,
        default=queries.knobs.outlier_share,
        minimum=queries.knobs.minimum_samples,
        queries=queries,
        severity=names.WARNING,
    )


def _abstentions(queries: Queries) -> Share:
    return Share(
        level="model_version",
        by=MODEL_VERSION,
        part="ml_prediction_abstentions",
        whole="ml_inference_rows",
        signal=names.SIGNAL_ABSTENTION_SHARE,
        default=queries.knobs.abstention_share,
        minimum=queries.knobs.minimum_samples,
        queries=queries,
        severity=names.WARNING,
    )


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
    """How common the commonest answer is when all is well.

    The baseline tells; where there is none, the best of the last days at this time, so that a collapse is not usual a day later.
    That of any version of the model, so that a new one which never answered otherwise is found out by the others.
    """
    queries = answers.queries
    baseline = queries.series(names.BASELINE_BIN_RATIO, equal(SIGNAL, names.SIGNAL_PREDICTION))
    ages = [scaled(queries.knobs.long_window, days) for days in range(1, DAYS + 1)]
    before = [f'label_replace({answers.ratio(queries.knobs.short_window)} offset {age}, "age", "{age}", "", "")' for age in ages]
    best = f"min by ({MODEL}) (\n      " + "\n    or\n      ".join(before) + "\n  )"
    others = f"group by ({MODEL_VERSION}) ({answers.ratio(queries.knobs.short_window)})\n  * on ({MODEL}) group_left ()\n  {best}"
    return Recording(USUAL, f"max by ({MODEL_VERSION}) ({baseline})\nor on ({MODEL_VERSION})\n  {others}")


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
        summary="The model gives the same answer to everything",
        description=(
            f"{SUBJECT} gave the same answer to {value(PERCENT)} of its rows over {fast} "
            f"(limit {look_up(f'{answers.limit}{{{matchers}}}', *model, form=PERCENT)}; usual share of the most common answer "
            f"{look_up(f'{USUAL}{{{matchers}}}', *model, form=PERCENT)}; "
            f"{look_up(f'{answers.count(slow)}{{{matchers}}}', *model, form=COUNT)} predictions in {slow}). "
            f"Most common answers: {top_three(live, *model, by=BIN, form=COUNT)}."
        ),
        action="Roll back if it began with a deployment; otherwise serve the fallback and look for a constant or missing feature.",
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
        summary="The model's predictions have shifted from its baseline",
        description=(
            f"Predictions of {MODEL_AND_VERSION} have PSI {value(SCORE)} over {short} "
            f"(limit {look_up(limit, *model, form=SCORE)}; noise floor {look_up(floor, *model, form=SCORE)}; "
            f"{look_up(samples, *model, form=COUNT)} predictions); over {long} it is above both too. "
            f"Features that moved most, by PSI: {top_three(f'max by ({FEATURE}) ({features})', *model, by=FEATURE, form=SCORE)}."
        ),
        action="Check whether the features that moved explain it; roll back if the shift began with a deployment.",
        dashboard="otel-ml-quality?model&version",
    )


def _unsure(queries: Queries) -> Alert:
    short = queries.knobs.short_window
    model = (MODEL, VERSION)
    before = f"max by ({MODEL_VERSION}) ({queries.series(names.BASELINE_CONFIDENCE_MEAN)})"
    drop = f"(\n      {before}\n    - on ({MODEL_VERSION})\n      {queries.score(names.CONFIDENCE_MEAN, short)}\n    )"
    usual = queries.series(names.BASELINE_CONFIDENCE_MEAN, *of(*model))
    limit = queries.limit(names.SIGNAL_CONFIDENCE_DROP, names.WARNING, *of(*model))
    samples = queries.samples(names.SIGNAL_CONFIDENCE, short, *of(*model))
    features = queries.windowed(names.FEATURE_PSI, short, *of(*model))
    return Alert(
        name="ModelConfidenceDropped",
        expr=both(
            past(drop, ">", queries.limit(names.SIGNAL_CONFIDENCE_DROP, names.WARNING)),
            enough(queries, names.SIGNAL_CONFIDENCE, short, queries.knobs.minimum_samples),
        ),
        hold="30m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model is less confident than in its baseline",
        description=(
            f"The mean confidence of {MODEL_AND_VERSION} over {short} is {value(SCORE)} lower than in its baseline "
            f"(limit {look_up(limit, *model, form=SCORE)}; baseline {look_up(f'max({usual})', *model, form=SCORE)}; "
            f"{look_up(samples, *model, form=COUNT)} predictions). "
            f"Features that moved most, by PSI: {top_three(f'max by ({FEATURE}) ({features})', *model, by=FEATURE, form=SCORE)}."
        ),
        action="Send unsure predictions to review; look for a group of callers that is new to the model, or a feature that changed.",
        dashboard="otel-ml-quality?model&version",
    )


def _share_told(share: Share, what: str) -> str:
    """The share now, its limit and its evidence."""
    fast, slow = share.queries.knobs.rate_window, share.queries.knobs.short_window
    model = (MODEL, VERSION)
    limit = look_up(f"{share.limit}{{{', '.join(of(*model))}}}", *model, form=PERCENT)
    rows = look_up(f"model_version:ml_inference_rows:increase{slow}{{{', '.join(of(*model))}}}", *model, form=COUNT)
    return f"{SUBJECT}: {value(PERCENT)} of {what} over {fast} (limit {limit}; {rows} rows in {slow})."


def _outlying(outliers: Share, energies: Share) -> Alert:
    """By their distance or, where the model answers with logits, by their energy: each sees rows that the other does not."""
    queries = outliers.queries
    features = queries.windowed(names.FEATURE_PSI, queries.knobs.short_window, *of(MODEL, VERSION))
    moved = top_three(f"max by ({FEATURE}) ({features})", MODEL, VERSION, by=FEATURE, form=SCORE)
    return Alert(
        name="ModelOutliersRising",
        expr=f"{outliers.exceeded()}\nor on ({MODEL_VERSION})\n{energies.exceeded()}",
        hold="30m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model gets rows unlike its baseline",
        description=(
            f"{_share_told(outliers, 'rows were further from the baseline than 99.9 % of its own rows,')} "
            f"Features that moved most, by PSI: {moved}."
        ),
        action="Look for a new group of callers or a broken feature; predictions for such rows are guesses, so have them reviewed.",
        dashboard="otel-ml-drift?model&version",
    )


def _abstaining(abstentions: Share) -> Alert:
    queries = abstentions.queries
    withheld = queries.series(names.PREDICTION_ABSTENTIONS, *of(MODEL, VERSION))
    most = top_three(f"sum by (instance) (rate({withheld}[{queries.knobs.rate_window}]))", MODEL, VERSION, by="instance", form=NUMBER)
    return Alert(
        name="ModelAbstentionHigh",
        expr=abstentions.exceeded(),
        hold="15m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model withholds many predictions",
        description=(
            f"{_share_told(abstentions, 'rows got the fallback instead of a prediction')} Withheld per second by replica: {most}."
        ),
        action="Make sure that the fallback or the reviewers can take the load; then find out what the model is unsure about.",
        dashboard="otel-ml-quality?model&version",
    )
