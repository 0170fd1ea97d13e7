"""Quality: what the model answers, how sure it is, and whether outcomes agree."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.drift import WINDOW, model_variables
from otel_ml_exporter.mixin.dashboards.parts import CHOSEN, Line, Panel, Place, Section
from otel_ml_exporter.mixin.dashboards.sureness import abstentions, confidence_mean, reliability, segments
from otel_ml_exporter.mixin.dashboards.truth import truth
from otel_ml_exporter.mixin.promql import BIN, SIGNAL, Queries, equal


def quality(queries: Queries) -> models.Dashboard:
    """What the model answers, how sure it is, and whether outcomes agree."""
    built = parts.frame("otel-ml-quality", "Models: quality", "The predictions of one version, and whether outcomes agree with them.")
    for variable in (*model_variables(queries), parts.window_chooser(queries)):
        built = built.with_variable(variable)
    answers = _output(queries, "Predictions", names.PREDICTION_OBSERVATIONS, names.SIGNAL_PREDICTION)
    confidence = _output(queries, "Confidence", names.CONFIDENCE_OBSERVATIONS, names.SIGNAL_CONFIDENCE)
    return parts.assembled(
        built,
        Section("", [*_totals(queries), _accuracy(queries), confidence_mean(queries, Place(12, 4, 12, 8))]),
        Section("Predictions", [*answers, _classes(queries), abstentions(queries, Place(12, 8, 12, 8))]),
        Section("Confidence", confidence),
        Section("Outcomes", _outcomes(queries)),
        Section("Segments, other versions, other outputs", _references(queries), folded=True),
        *truth(queries),
    )


def _totals(queries: Queries) -> list[Panel]:
    last = f"time() - max({queries.series(names.OUTCOME_LAST_TIMESTAMP, *CHOSEN)})"
    return [
        parts.number(
            "Predictions in the window",
            "Predictions behind the distributions below.",
            "short",
            Place(0, 0, 6, 4),
            queries.samples(names.SIGNAL_PREDICTION, WINDOW, *CHOSEN),
        ),
        parts.number(
            "Outcomes in the window",
            "Predictions whose outcome is known; accuracy and calibration are computed from these.",
            "short",
            Place(6, 0, 6, 4),
            queries.samples(names.SIGNAL_CALIBRATION, WINDOW, *CHOSEN),
            empty="no outcomes",
        ),
        parts.number(
            "Coverage",
            "Share of the window's predictions that have an outcome.",
            parts.SHARE,
            Place(12, 0, 6, 4),
            queries.score(names.OUTCOME_COVERAGE_RATIO, WINDOW, *CHOSEN),
            empty="no outcomes",
        ),
        parts.number("Last outcome", "Time since the last outcome arrived.", "s", Place(18, 0, 6, 4), last, empty="no outcomes"),
    ]


def _outcomes(queries: Queries) -> list[Panel]:
    def score(metric: Metric) -> str:
        return queries.score(metric, WINDOW, *CHOSEN)

    floor = score(names.CALIBRATION_ECE_NOISE_FLOOR)
    limit = queries.limit(names.SIGNAL_CALIBRATION_ECE, names.WARNING, *CHOSEN)
    return [
        parts.lines(
            "Calibration error",
            "Mean gap between confidence and outcome. ModelMiscalibrated fires above the upper dashed line: noise floor plus limit.",
            "short",
            Place(0, 0, 8, 8),
            Line(score(names.CALIBRATION_ECE), "ECE", parts.BLUE),
            Line(score(names.CALIBRATION_MCE), "largest gap of a bin", parts.SKY),
            Line(floor, "noise floor", parts.GREY, dashed=True),
            Line(f"{floor} + {limit}", "noise floor + limit", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Brier score",
            "Mean squared error of the confidence; lower is better. Compare it with its own past.",
            "short",
            Place(16, 0, 8, 8),
            Line(score(names.BRIER_SCORE), "Brier score", parts.GREEN),
        ),
        reliability(queries, Place(8, 0, 8, 8)),
        parts.lines(
            "Outcomes that arrived",
            "Share of predictions with an outcome: quality scores cover only these. Below the dashed line, ModelLabelCoverageLow fires.",
            parts.SHARE,
            Place(0, 8, 6, 8),
            Line(score(names.OUTCOME_COVERAGE_RATIO), "coverage", parts.PURPLE),
            Line(queries.limit(names.SIGNAL_LABEL_COVERAGE, names.WARNING, *CHOSEN), "limit", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Delay of outcomes",
            "Time between a prediction and its outcome, by quantile. ModelLabelDelayHigh fires when 0.9 is above the dashed line.",
            "s",
            Place(6, 8, 6, 8),
            Line(_by(queries, names.OUTCOME_DELAY, names.QUANTILE), f"quantile {{{{{names.QUANTILE}}}}}"),
            Line(queries.limit(names.SIGNAL_LABEL_DELAY, names.WARNING, *CHOSEN), "expected", parts.VERMILION, dashed=True),
        ),
        _errors(queries),
        segments(queries, Place(18, 8, 6, 8)),
    ]


def _accuracy(queries: Queries) -> Panel:
    """What was measured beside what is estimated without labels, each with its interval."""
    of_accuracy = equal(prometheus(names.METRIC), "accuracy")
    bounds = {names.PERFORMANCE: "", names.PERFORMANCE_LOW: ", at least", names.PERFORMANCE_HIGH: ", at most"}

    def accuracy(kind: str, told: str, color: str) -> list[Line]:
        of_kind = equal(prometheus(names.ESTIMATE), kind)
        return [
            Line(f"max({queries.windowed(metric, WINDOW, *CHOSEN, of_accuracy, of_kind)})", told + bound, color, dashed=bool(bound))
            for metric, bound in bounds.items()
        ]

    return parts.lines(
        "Accuracy",
        "Measured with the labels that arrived, and estimated from confidences without labels (CBPE). Dashed: the 95 % intervals, the "
        "baseline, and the floor below which it pages.",
        parts.SHARE,
        Place(0, 4, 12, 8),
        *accuracy(names.ESTIMATE_REALIZED, "measured", parts.BLUE),
        accuracy(names.ESTIMATE_COHORT, "measured, all labels due", parts.SKY)[0],
        *accuracy(names.ESTIMATE_CBPE, "estimated", parts.ORANGE),
        Line(queries.limit(names.SIGNAL_PERFORMANCE, names.CRITICAL, *CHOSEN), "floor", parts.VERMILION, dashed=True),
        Line(f"max({queries.series(names.BASELINE_PERFORMANCE, *CHOSEN, of_accuracy)})", "baseline", parts.GREY, dashed=True),
        least=None,
    )


def _errors(queries: Queries) -> Panel:
    """What a regression is held to, where somebody stated a limit."""
    metric, estimate = prometheus(names.METRIC), prometheus(names.ESTIMATE)
    measured = queries.windowed(names.PERFORMANCE, WINDOW, *CHOSEN, f'{metric}=~"mae|rmse|r2"')
    limits = queries.series(names.THRESHOLD, *CHOSEN, f'{SIGNAL}=~"{names.SIGNAL_PERFORMANCE}_.+"')
    return parts.lines(
        "Errors of a regression",
        "Mean absolute error, root mean squared error, and share of variance explained; dashed: the limits that page.",
        "short",
        Place(12, 8, 6, 8),
        Line(f"max by ({metric}, {estimate}) ({measured})", f"{{{{{metric}}}}}, {{{{{estimate}}}}}"),
        Line(f"max by ({SIGNAL}) ({limits})", f"{{{{{SIGNAL}}}}}, limit", parts.VERMILION, dashed=True),
        least=None,
        empty="no regression",
    )


def _classes(queries: Queries) -> Panel:
    """The true classes as far as predictions tell, beside those of the baseline."""
    label = prometheus(names.OUTCOME_LABEL)
    baseline = f"max by ({label}) ({queries.series(names.BASELINE_LABEL_RATIO, *CHOSEN)})"
    return parts.lines(
        "True classes, estimated",
        "Share of each class, estimated from predictions and the baseline's mistakes, with its 95 % interval. It assumes that only the "
        "shares moved. Absent for a model that hardly separates its classes.",
        parts.SHARE,
        Place(0, 8, 12, 8),
        Line(_by(queries, names.ESTIMATED_LABEL_RATIO, label), f"class {{{{{label}}}}}"),
        Line(_by(queries, names.ESTIMATED_LABEL_RATIO_LOW, label), f"class {{{{{label}}}}}, at least", parts.SKY, dashed=True),
        Line(_by(queries, names.ESTIMATED_LABEL_RATIO_HIGH, label), f"class {{{{{label}}}}}, at most", parts.SKY, dashed=True),
        Line(baseline, f"class {{{{{label}}}}}, baseline", parts.GREY, dashed=True),
    )


def _references(queries: Queries) -> list[Panel]:
    """Panels that stay empty unless the exporter is asked for these references."""
    segment = prometheus(names.SEGMENT)

    def rest(score: Metric, floor: Metric) -> tuple[Line, Line]:
        scored, chance = (f"max by ({segment}) ({queries.series(each, equal(names.WINDOW, WINDOW), *CHOSEN)})" for each in (score, floor))
        most = f"topk({parts.SHOWN}, {scored})"
        return Line(most, f"{{{{{segment}}}}}"), Line(f"{chance} and {most}", f"{{{{{segment}}}}}, noise floor", dashed=True)

    def stable(metric: Metric) -> str:
        series = queries.series(metric, equal(names.WINDOW, WINDOW), equal(names.REFERENCE, names.REFERENCE_STABLE), *CHOSEN)
        return f"max({series})"

    return [
        _further(queries),
        parts.lines(
            "Against the stable version",
            "PSI of a canary's or shadow's predictions against those of the stable version at the same time, in the same bins.",
            "short",
            Place(0, 0, 8, 8),
            Line(stable(names.PREDICTION_PSI), "predictions", parts.BLUE),
            Line(stable(names.PREDICTION_PSI_NOISE_FLOOR), "predictions, noise floor", parts.BLUE, dashed=True),
            Line(stable(names.CONFIDENCE_PSI), "confidence", parts.ORANGE),
            Line(stable(names.CONFIDENCE_PSI_NOISE_FLOOR), "confidence, noise floor", parts.ORANGE, dashed=True),
        ),
        parts.lines(
            "Segments against the rest: predictions",
            "PSI of a segment's predictions against all others', the 20 largest. Segments differ by nature: look for one that moves.",
            "short",
            Place(8, 0, 8, 8),
            *rest(names.SEGMENT_PREDICTION_PSI, names.SEGMENT_PREDICTION_PSI_NOISE_FLOOR),
        ),
        parts.lines(
            "Segments against the rest: confidence",
            "PSI of a segment's confidences against all others', the 20 largest.",
            "short",
            Place(16, 0, 8, 8),
            *rest(names.SEGMENT_CONFIDENCE_PSI, names.SEGMENT_CONFIDENCE_PSI_NOISE_FLOOR),
        ),
    ]


def _further(queries: Queries) -> Panel:
    name = prometheus(names.OUTPUT_NAME)
    counts = queries.series(names.OUTPUT_OBSERVATIONS, *CHOSEN)
    return parts.lines(
        "Other outputs",
        "For models with several outputs, all but the first: PSI against the baseline, and the share of the most common answer.",
        "short",
        Place(0, 8, 24, 8),
        Line(_by(queries, names.OUTPUT_PSI, name), f"{{{{{name}}}}}"),
        Line(_by(queries, names.OUTPUT_PSI_NOISE_FLOOR, name), f"{{{{{name}}}}}, noise floor", dashed=True),
        Line(
            f"max by ({name}) (sum by ({name}, {BIN}) (increase({counts}[{WINDOW}])))\n"
            f"/ on ({name})\n  sum by ({name}) (increase({counts}[{WINDOW}]))",
            f"{{{{{name}}}}}, most common answer",
        ),
    )


def _by(queries: Queries, metric: Metric, label: str, *matchers: str) -> str:
    return f"max by ({label}) ({queries.windowed(metric, WINDOW, *CHOSEN, *matchers)})"


_SCORES = {
    names.SIGNAL_PREDICTION: (names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR, names.SIGNAL_PREDICTION_PSI),
    names.SIGNAL_CONFIDENCE: (names.CONFIDENCE_PSI, names.CONFIDENCE_PSI_NOISE_FLOOR, names.SIGNAL_CONFIDENCE_PSI),
}


def _output(queries: Queries, title: str, metric: Metric, signal: str) -> list[Panel]:
    """The distribution of an output now, its distance from the baseline, and how it moved."""
    counts = queries.series(metric, *CHOSEN)
    baseline = queries.series(names.BASELINE_BIN_RATIO, *CHOSEN, equal(SIGNAL, signal))
    score, floor, limit = _SCORES[signal]
    return [
        parts.bars(
            f"{title}: live against baseline",
            "Share of each bin, in the window and in the baseline.",
            Place(0, 0, 8, 8),
            BIN,
            {"live": parts.shares(counts, WINDOW), "baseline": f"max by ({BIN}) ({baseline})"},
        ),
        parts.distance(
            f"{title}: PSI",
            "Distance from the baseline; it matters above both dashed lines.",
            Place(8, 0, 8, 8),
            Line(queries.score(score, WINDOW, *CHOSEN), "PSI", parts.BLUE),
            Line(queries.limit(limit, names.WARNING, *CHOSEN), "limit", parts.VERMILION, dashed=True),
            Line(queries.score(floor, WINDOW, *CHOSEN), "noise floor", parts.GREY, dashed=True),
        ),
        parts.heat(
            f"{title}: bins over time",
            "Share of each bin: one band that takes everything is a collapse.",
            Place(16, 0, 8, 8),
            parts.shares(counts, "$__rate_interval"),
            f"{{{{{BIN}}}}}",
        ),
    ]
