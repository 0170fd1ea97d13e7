"""Whether the outputs beside the first, of a model that has several, still are as they used to be."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.verdicts import enough, past
from otel_ml_exporter.mixin.pack import Alert
from otel_ml_exporter.mixin.promql import BIN, MODEL, MODEL_VERSION, OUTPUT, VERSION, Queries
from otel_ml_exporter.mixin.wording import COUNT, MODEL_AND_VERSION, SCORE, label, look_up, of, top_three, value

_BY = f"{MODEL_VERSION}, {OUTPUT}"


def output_shifted(queries: Queries, category: str) -> Alert:
    """An output that moved for an hour and for a day; each row has all outputs, so the predictions tell whether there are enough."""
    short, long = queries.knobs.short_window, queries.knobs.long_window
    model, output = (MODEL, VERSION), (MODEL, VERSION, OUTPUT)
    limit = queries.limit(names.SIGNAL_PREDICTION_PSI, names.WARNING, *of(*model))
    floor = queries.score(names.OUTPUT_PSI_NOISE_FLOOR, short, *of(*output))
    samples = queries.samples(names.SIGNAL_PREDICTION, short, *of(*model))
    answers = f"sum by ({BIN}) (increase({queries.series(names.OUTPUT_OBSERVATIONS, *of(*output))}[{short}])) > 0"
    return Alert(
        name="ModelOutputShift",
        expr=(
            f"{_over(queries, short)}\nand on ({_BY})\n{_over(queries, long)}\nand on ({MODEL_VERSION})\n"
            f"{enough(queries, names.SIGNAL_PREDICTION, short, queries.knobs.minimum_samples)}"
        ),
        hold="15m",
        keep="1h",
        severity=names.WARNING,
        category=category,
        summary="One output of the model has shifted from its baseline",
        description=(
            f"Output {label(OUTPUT)} of {MODEL_AND_VERSION} has PSI {value(SCORE)} over {short} "
            f"(limit {look_up(limit, *model, form=SCORE)}; noise floor {look_up(floor, *output, form=SCORE)}; "
            f"{look_up(samples, *model, form=COUNT)} predictions); over {long} it is above both too. "
            f"Most common answers: {top_three(answers, *output, by=BIN, form=COUNT)}."
        ),
        action="Check whether the other outputs and the features moved too; roll back if the shift began with a deployment.",
        dashboard="otel-ml-quality?model&version",
    )


def _over(queries: Queries, window: str) -> str:
    over_limit = past(queries.score(names.OUTPUT_PSI, window), ">", queries.limit(names.SIGNAL_PREDICTION_PSI, names.WARNING))
    return f"(\n  {over_limit}\n  > on ({_BY})\n    {queries.score(names.OUTPUT_PSI_NOISE_FLOOR, window)}\n)"
