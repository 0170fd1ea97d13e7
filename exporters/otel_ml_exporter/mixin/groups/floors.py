"""What the owner of a model stated: the least accuracy, or the greatest error; measured with labels, with chance on the model's side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.groups.verdicts import past
from otel_ml_exporter.mixin.pack import PROBLEM, Alert, Recording
from otel_ml_exporter.mixin.promql import MODEL, MODEL_VERSION, SEGMENT, SIGNAL, VERSION, Queries, equal
from otel_ml_exporter.mixin.wording import COUNT, NUMBER, PERCENT, SUBJECT, label, look_up, of, top_three, value

METRIC: Final = prometheus(names.METRIC)
ESTIMATE: Final = prometheus(names.ESTIMATE)
JUDGED: Final = "model_version_estimate:ml_outcomes:judged"
CATEGORY: Final = "quality"
DASHBOARD: Final = "otel-ml-quality?model&version"
TOO_FAR: Final = "too_far"
ACTION: Final = "Roll back to the last version that held its floor, or serve the fallback; first make sure that the labels are right."


@dataclass(frozen=True)
class Bound:
    """The limit of one score: `end` is what is compared with it, the better end of its interval where it has one."""

    metric: str
    end: Metric
    sign: str
    signal: str

    def crossed(self, queries: Queries) -> str:
        """The models whose score is past its limit."""
        score = queries.windowed(self.end, queries.knobs.long_window, equal(METRIC, self.metric))
        return past(f"max by ({MODEL_VERSION}, {METRIC}, {ESTIMATE}) ({score})", self.sign, queries.limit(self.signal, names.CRITICAL))


ACCURACY: Final = Bound("accuracy", names.PERFORMANCE_HIGH, "<", names.SIGNAL_PERFORMANCE)
ERRORS: Final = (
    Bound("mae", names.PERFORMANCE_LOW, ">", names.SIGNAL_PERFORMANCE_MAE),
    Bound("rmse", names.PERFORMANCE, ">", names.SIGNAL_PERFORMANCE_RMSE),
    Bound("r2", names.PERFORMANCE, "<", names.SIGNAL_PERFORMANCE_R2),
)


def judged(queries: Queries) -> Iterator[Recording]:
    """By how many outcomes a model is judged: by those of a cohort where its labels have a declared delay, else by all that arrive."""
    arrived, cohort = (queries.samples(signal, queries.knobs.long_window) for signal in (names.SIGNAL_PERFORMANCE, names.SIGNAL_COHORT))
    yield Recording(JUDGED, f"{arrived}\nunless on ({MODEL_VERSION})\n  {cohort}", {ESTIMATE: names.ESTIMATE_REALIZED})
    yield Recording(JUDGED, cohort, {ESTIMATE: names.ESTIMATE_COHORT})


def below_floor(queries: Queries) -> tuple[Alert, Alert]:
    """One rule for the share of right answers, one for predictions that are off; both keep which score it is."""
    long, model = queries.knobs.long_window, (MODEL, VERSION)
    of_score = (*model, METRIC, ESTIMATE)
    measured = queries.windowed(names.PERFORMANCE, long, *of(*of_score))
    outcomes = look_up(f"{JUDGED}{{{', '.join(of(*model))}}}", *model, form=COUNT) + " outcomes"
    floor = queries.limit(names.SIGNAL_PERFORMANCE, names.CRITICAL, *of(*model))
    limit = queries.series(names.THRESHOLD, f'{SIGNAL}="{names.SIGNAL_PERFORMANCE}_%s"', *of(*model))
    right, off = (queries.windowed(names.SEGMENT_PERFORMANCE, long, equal(METRIC, score), *of(*model)) for score in ("accuracy", "mae"))
    worst, farthest = _top_segments(f"1 - {right}", PERCENT), _top_segments(off, NUMBER)
    return (
        Alert(
            name="ModelAccuracyBelowFloor",
            expr=_proven(queries, ACCURACY),
            hold="30m",
            keep="30m",
            severity=names.CRITICAL,
            category=CATEGORY,
            summary="The model is wrong too often",
            description=(
                f"{SUBJECT} was right in {look_up(measured, *of_score, form=PERCENT)} of the cases whose "
                f"outcome is known over {long}, at best {value(PERCENT)} (floor {look_up(floor, *model, form=PERCENT)}; "
                f"{outcomes}). Share of wrong answers by segment: {worst}."
            ),
            action=ACTION,
            dashboard=DASHBOARD,
        ),
        Alert(
            name="ModelAccuracyBelowFloor",
            expr=_proven(queries, *ERRORS),
            hold="30m",
            keep="30m",
            severity=names.CRITICAL,
            category=CATEGORY,
            labels={PROBLEM: TOO_FAR},
            summary="The model is too far from the truth",
            description=(
                f"{SUBJECT} has {label(METRIC)} {look_up(measured, *of_score, form=NUMBER)} in the cases whose "
                f"outcome is known over {long}, at best {value(NUMBER)} (limit {look_up(limit, METRIC, *model, form=NUMBER)}; "
                f"{outcomes}). Mean absolute error by segment: {farthest}."
            ),
            action=ACTION,
            dashboard=DASHBOARD,
        ),
    )


def _top_segments(score: str, form: str) -> str:
    return top_three(f"max by ({SEGMENT}) ({score})", MODEL, VERSION, by=SEGMENT, form=form)


def _proven(queries: Queries, *bounds: Bound) -> str:
    """The scores past one of the bounds, by enough outcomes."""
    crossed = "\nor\n".join(bound.crossed(queries) for bound in bounds)
    several = f"(\n{crossed}\n)" if len(bounds) > 1 else crossed
    return f"{several}\nand on ({MODEL_VERSION}, {ESTIMATE})\n  {JUDGED} >= {queries.knobs.minimum_outcomes}"
