"""Drift: whether the inputs are still those of the baseline."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.verdicts import both, enough
from otel_ml_exporter.mixin.pack import Alert, Group
from otel_ml_exporter.mixin.promql import FEATURE, MODEL, MODEL_VERSION, MODEL_VERSION_FEATURE, VERSION, Queries
from otel_ml_exporter.mixin.wording import COUNT, MODEL_AND_VERSION, PERCENT, SCORE, label, look_up, of, top_three, value

CATEGORY = "drift"


def drift(queries: Queries) -> Group:
    """The inputs, compared with those of the baseline."""
    return Group(CATEGORY, "Are the inputs still those of the baseline?", (_dataset(queries), _feature(queries), _domain(queries)))


def _enough(queries: Queries) -> str:
    return enough(queries, names.SIGNAL_FEATURE, queries.knobs.short_window, queries.knobs.minimum_samples)


def _dataset(queries: Queries) -> Alert:
    """Stands before the alert about one feature and holds as long, so that it is there to mute it."""
    short = queries.knobs.short_window
    model = (MODEL, VERSION)
    limit = queries.limit(names.SIGNAL_DRIFTED_FEATURES, names.WARNING)
    drifted = f"(\n    {queries.score(names.DRIFTED_FEATURES_RATIO, short)}\n  > on ({MODEL_VERSION})\n    {limit}\n)"
    shown = queries.limit(names.SIGNAL_DRIFTED_FEATURES, names.WARNING, *of(*model))
    samples = queries.samples(names.SIGNAL_FEATURE, short, *of(*model))
    features = f"max by ({FEATURE}) ({queries.windowed(names.FEATURE_PSI, short, *of(*model))})"
    return Alert(
        name="ModelDatasetDrift",
        expr=both(drifted, _enough(queries)),
        hold="15m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="Many features of the model have drifted",
        description=(
            f"{value(PERCENT)} of the features of {MODEL_AND_VERSION} drifted over {short} "
            f"(limit {look_up(shown, *model, form=PERCENT)}; {look_up(samples, *model, form=COUNT)} rows). "
            f"Features that moved most, by PSI: {top_three(features, *model, by=FEATURE, form=SCORE)}."
        ),
        action="Look for one upstream cause that the drifted features share: a source, a join, a new group of callers, a season.",
        dashboard="otel-ml-drift?model&version",
    )


def _feature(queries: Queries) -> Alert:
    short = queries.knobs.short_window
    model, feature = (MODEL, VERSION), (MODEL, VERSION, FEATURE)
    verdict = f"  {queries.score(names.FEATURE_DRIFTED, short)} == 1"
    limit = queries.limit(names.SIGNAL_FEATURE_PSI, names.WARNING, *of(*model))
    floor = queries.score(names.FEATURE_PSI_NOISE_FLOOR, short, *of(*feature))
    outside = queries.score(names.FEATURE_OUT_OF_RANGE_RATIO, short, *of(*feature))
    unseen = queries.score(names.FEATURE_UNSEEN_RATIO, short, *of(*feature))
    samples = queries.samples(names.SIGNAL_FEATURE, short, *of(*model))
    return Alert(
        name="ModelFeatureDrift",
        expr=both(f"{queries.score(names.FEATURE_PSI, short)}\nand on ({MODEL_VERSION_FEATURE})\n{verdict}", _enough(queries)),
        hold="15m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="A feature of the model has drifted",
        description=(
            f"Feature {label(FEATURE)} of {MODEL_AND_VERSION} has PSI {value(SCORE)} over {short} "
            f"(limit {look_up(limit, *model, form=SCORE)}; noise floor {look_up(floor, *feature, form=SCORE)}; "
            f"{look_up(samples, *model, form=COUNT)} rows); {look_up(f'{outside} or {unseen}', *feature, *feature, form=PERCENT)} of its "
            "values are outside the baseline's range or vocabulary."
        ),
        action="Ask the owner of the feature what changed at its source; if the change is intended, plan a new baseline.",
        dashboard="otel-ml-drift?model&version&feature",
    )


def _domain(queries: Queries) -> Alert:
    """A classifier that tells the rows apart has learnt something that no single feature need show."""
    short, model = queries.knobs.short_window, (MODEL, VERSION)
    area = queries.score(names.DOMAIN_CLASSIFIER_AUC, short)
    floor = queries.score(names.DOMAIN_CLASSIFIER_AUC_NOISE_FLOOR, short)
    limit = queries.limit(names.SIGNAL_DOMAIN_AUC, names.WARNING)
    over = f"(\n    {area}\n  > on ({MODEL_VERSION})\n    {limit}\n  > on ({MODEL_VERSION})\n    {floor}\n)"
    shown = queries.limit(names.SIGNAL_DOMAIN_AUC, names.WARNING, *of(*model))
    chance = queries.score(names.DOMAIN_CLASSIFIER_AUC_NOISE_FLOOR, short, *of(*model))
    samples = queries.samples(names.SIGNAL_ROWS, short, *of(*model))
    features = f"max by ({FEATURE}) ({queries.windowed(names.DOMAIN_CLASSIFIER_IMPORTANCE, short, *of(*model))})"
    return Alert(
        name="ModelDomainShift",
        expr=both(over, enough(queries, names.SIGNAL_ROWS, short, queries.knobs.minimum_samples)),
        hold="30m",
        keep="30m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model gets rows that can be told apart from its baseline",
        description=(
            f"A classifier separates the rows of {MODEL_AND_VERSION} over {short} from the baseline's with an AUC of {value(SCORE)} "
            f"(0.5 means not at all; limit {look_up(shown, *model, form=SCORE)}; noise floor {look_up(chance, *model, form=SCORE)}; "
            f"{look_up(samples, *model, form=COUNT)} sampled rows). "
            f"Features it uses most: {top_three(features, *model, by=FEATURE, form=PERCENT)}."
        ),
        action="Look at those features together: a combination that the baseline does not have, or a new group of callers.",
        dashboard="otel-ml-drift?model&version",
    )
