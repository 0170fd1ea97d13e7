"""What the owner of a model stated: the least accuracy, or the greatest error; measured with labels, with chance on the model's side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.groups.verdicts import past
from otel_ml_exporter.mixin.pack import Alert, Recording
from otel_ml_exporter.mixin.promql import MODEL, MODEL_VERSION, SEGMENT, VERSION, Queries, equal
from otel_ml_exporter.mixin.wording import COUNT, NUMBER, PERCENT, SUBJECT, look_up, of, top_three, value

CATEGORY: Final = "quality"
DASHBOARD: Final = "otel-ml-quality?model&version"
METRIC: Final = prometheus(names.METRIC)
ESTIMATE: Final = prometheus(names.ESTIMATE)
JUDGED: Final = "model_version_estimate:ml_outcomes:judged"


@dataclass(frozen=True)
class Floor:
    """The limit of one score, in words; `end` is what is compared with it, the better end of the interval where there is one."""

    score: str
    end: Metric
    sign: str
    signal: str
    said: str
    form: str = NUMBER


_ACCURACY: Final = Floor("accuracy", names.PERFORMANCE_HIGH, "<", names.SIGNAL_PERFORMANCE, "accuracy", PERCENT)
_MAE: Final = Floor("mae", names.PERFORMANCE_LOW, ">", names.SIGNAL_PERFORMANCE_MAE, "mean absolute error")
FLOORS: Final = (
    _ACCURACY,
    _MAE,
    Floor("rmse", names.PERFORMANCE, ">", names.SIGNAL_PERFORMANCE_RMSE, "root mean squared error"),
    Floor("r2", names.PERFORMANCE, "<", names.SIGNAL_PERFORMANCE_R2, "share of explained variance", PERCENT),
)


def judged(queries: Queries) -> Iterator[Recording]:
    """By how many outcomes a model is judged: by those of a cohort where its labels have a declared delay, else by all that arrive."""
    arrived, cohort = (queries.samples(signal, queries.knobs.long_window) for signal in (names.SIGNAL_PERFORMANCE, names.SIGNAL_COHORT))
    yield Recording(JUDGED, f"{arrived}\nunless on ({MODEL_VERSION})\n  {cohort}", {ESTIMATE: names.ESTIMATE_REALIZED})
    yield Recording(JUDGED, cohort, {ESTIMATE: names.ESTIMATE_COHORT})


def below_floor(queries: Queries, floor: Floor) -> Alert:
    """A score that is past its limit even if chance was against the model."""
    long, model = queries.knobs.long_window, (MODEL, VERSION)
    score = equal(METRIC, floor.score)
    at_best = f"max by ({MODEL_VERSION}, {ESTIMATE}) ({queries.windowed(floor.end, long, score)})"
    crossed = past(at_best, floor.sign, queries.limit(floor.signal, names.CRITICAL))
    measured = queries.windowed(names.PERFORMANCE, long, score, *of(*model, ESTIMATE))
    limit = queries.limit(floor.signal, names.CRITICAL, *of(*model))
    outcomes = f"{JUDGED}{{{', '.join(of(*model))}}}"
    return Alert(
        name="ModelAccuracyBelowFloor",
        expr=f"{crossed}\nand on ({MODEL_VERSION}, {ESTIMATE})\n  {JUDGED} >= {queries.knobs.minimum_outcomes}",
        hold="30m",
        keep="30m",
        severity=names.CRITICAL,
        category=CATEGORY,
        labels={METRIC: floor.score},
        summary="The model's measured quality is past its limit",
        description=(
            f"{SUBJECT}: {floor.said} {look_up(measured, *model, ESTIMATE, form=floor.form)} over {long}, at best {value(floor.form)} "
            f"(limit {look_up(limit, *model, form=floor.form)}; {look_up(outcomes, *model, form=COUNT)} outcomes). "
            f"{_segments(queries, floor)}."
        ),
        action="First make sure that the labels are right; then roll back to the last version within its limit, or serve the fallback.",
        dashboard=DASHBOARD,
    )


def _segments(queries: Queries, floor: Floor) -> str:
    """The worst by accuracy, or by the mean absolute error, which stands for every error of a regression."""
    shown = floor if floor is _ACCURACY else _MAE
    return worst_segments(queries, shown.score, shown.sign, shown.said, shown.form)


def worst_segments(queries: Queries, score: str, sign: str, said: str, form: str) -> str:
    """The three segments with the worst of a score; `sign` tells which side of a limit is worse."""
    of_segment = queries.windowed(names.SEGMENT_PERFORMANCE, queries.knobs.long_window, equal(METRIC, score), *of(MODEL, VERSION))
    extreme, order = ("min", "bottomk") if sign == "<" else ("max", "topk")
    three = top_three(f"{extreme} by ({SEGMENT}) ({of_segment})", MODEL, VERSION, by=SEGMENT, form=form, pick=order)
    return f"{said.capitalize()} by segment, worst first: {three}"
