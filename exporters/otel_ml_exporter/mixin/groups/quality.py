"""Quality: whether the predictions are right, as far as outcomes are known."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.verdicts import enough
from otel_ml_exporter.mixin.pack import Alert, Group
from otel_ml_exporter.mixin.promql import MODEL, MODEL_VERSION, VERSION, Queries
from otel_ml_exporter.mixin.wording import COUNT, SCORE, label, look_up, of, value

CATEGORY = "quality"


def quality(queries: Queries) -> Group:
    """The quality of predictions, as far as outcomes are known."""
    return Group(CATEGORY, "Are the predictions right, as far as outcomes are known?", (_miscalibrated(queries),))


def _excess(queries: Queries, window: str) -> str:
    """The calibration error beyond what a calibrated model would show with as many outcomes."""
    error = queries.score(names.CALIBRATION_ECE, window)
    return f"{error}\n    - on ({MODEL_VERSION})\n      {queries.score(names.CALIBRATION_ECE_NOISE_FLOOR, window)}"


def _miscalibrated(queries: Queries) -> Alert:
    """The long window has the evidence; a short window that is good again, with enough outcomes, ends the alert early."""
    short, long = queries.knobs.short_window, queries.knobs.long_window
    minimum = queries.knobs.minimum_outcomes
    model = (MODEL, VERSION)
    limit = queries.limit(names.SIGNAL_CALIBRATION_ECE, names.WARNING)
    evidence = enough(queries, names.SIGNAL_CALIBRATION, long, minimum)
    recent = enough(queries, names.SIGNAL_CALIBRATION, short, minimum)
    error = queries.score(names.CALIBRATION_ECE, long, *of(*model))
    floor = queries.score(names.CALIBRATION_ECE_NOISE_FLOOR, long, *of(*model))
    shown = queries.limit(names.SIGNAL_CALIBRATION_ECE, names.WARNING, *of(*model))
    samples = queries.samples(names.SIGNAL_CALIBRATION, long, *of(*model))
    return Alert(
        name="ModelMiscalibrated",
        expr=(
            f"(\n    (\n      {_excess(queries, long)}\n    )\n  > on ({MODEL_VERSION})\n    {limit}\n)\n"
            f"and on ({MODEL_VERSION})\n{evidence}\n"
            f"unless on ({MODEL_VERSION}) (\n    (\n      {_excess(queries, short)}\n    )\n  <= on ({MODEL_VERSION})\n    {limit}\n"
            f"  and on ({MODEL_VERSION})\n  {recent}\n)"
        ),
        hold="30m",
        keep="1h",
        severity=names.WARNING,
        category=CATEGORY,
        summary=f"The confidence of model {label(MODEL)} is wrong",
        description=(
            f"Model {label(MODEL)} version {label(VERSION)}: the confidence is off by {value(SCORE)} more than chance explains over {long} "
            f"(limit {look_up(shown, *model, form=SCORE)}; calibration error {look_up(error, *model, form=SCORE)}, noise floor "
            f"{look_up(floor, *model, form=SCORE)}; {look_up(samples, *model, form=COUNT)} outcomes)."
        ),
        action="Stop relying on cut-offs of the confidence, check that outcomes are complete, then refit the calibrator.",
        dashboard="otel-ml-quality?model&version",
    )
