"""Ground truth: what became of predictions and outcomes on their way in, and what the store holds."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.drift import WINDOW
from otel_ml_exporter.mixin.dashboards.parts import CHOSEN, Line, Panel, Place, Section
from otel_ml_exporter.mixin.promql import BIN, MODEL, REFERENCE, Queries, equal

REASON = prometheus(names.DROP_REASON)
SEGMENT = prometheus(names.SEGMENT)
METRIC = prometheus(names.METRIC)
ANNOTATORS = prometheus(names.ANNOTATORS)
DECISION = prometheus(names.PREDICTION_CLASS)
LABEL = prometheus(names.OUTCOME_LABEL)
DIRECTION = prometheus(names.DIRECTION)
RESULT = prometheus(names.RESULT)


def truth(queries: Queries) -> list[Section]:
    """Sections that are looked at when something is odd, folded."""
    return [
        Section("Incoming ground truth", _arriving(queries), folded=True),
        Section("What the scores hide", _hidden(queries), folded=True),
        Section("What mistakes cost", _worth(queries), folded=True),
    ]


def _arriving(queries: Queries) -> list[Panel]:
    return [
        parts.lines(
            "Outcomes received, by result",
            "Outcomes per second: matched, waiting for their prediction, repeated, corrected, or unusable (unfit, unknown_model, invalid).",
            parts.PER_SECOND,
            Place(0, 0, 8, 7),
            Line(_received(queries, names.OUTCOME_RECEIVED), f"{{{{{RESULT}}}}}"),
        ),
        parts.lines(
            "Predictions received, by result",
            "Prediction events per second; a repeated one changes nothing.",
            parts.PER_SECOND,
            Place(8, 0, 8, 7),
            Line(_received(queries, names.PREDICTION_RECEIVED), f"{{{{{RESULT}}}}}"),
        ),
        parts.lines(
            "Outcomes without a prediction",
            "Outcomes of the window whose id matches no prediction: wrong ids, or predictions that were not sent.",
            "short",
            Place(16, 0, 8, 7),
            Line(f"max({queries.windowed(names.OUTCOME_UNMATCHED, WINDOW, equal(MODEL, '$model'))})", "unmatched", parts.VERMILION),
        ),
        parts.lines(
            "Store",
            "Predictions and outcomes stored, and the limit; above it, clients are asked to try again later.",
            "short",
            Place(0, 7, 12, 6),
            Line(f"max({queries.series(names.EXPORTER_STORE_ROWS)})", "rows", parts.BLUE),
            Line(f"max({queries.series(names.EXPORTER_STORE_LIMIT)})", "limit", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Refused requests",
            "Requests per second: busy and rate pass by themselves; full, store and token need somebody to act.",
            parts.CALLS,
            Place(12, 7, 12, 6),
            Line(_rate(queries, names.EXPORTER_REQUESTS_REFUSED, REASON), f"{{{{{REASON}}}}}"),
        ),
    ]


def _hidden(queries: Queries) -> list[Panel]:
    """What scores hide: other rulers of calibration, segments, ranges; and whether the labels themselves can be trusted."""
    floor = _labelled(queries, names.PREDICTION_PSI_NOISE_FLOOR)
    return [
        parts.lines(
            "Other calibration measures",
            "Debiased: without what chance adds. Equal mass: bins follow the confidences. Worst class: what the mean hides.",
            "short",
            Place(0, 0, 8, 7),
            Line(queries.score(names.CALIBRATION_ECE_DEBIASED, WINDOW, *CHOSEN), "debiased", parts.BLUE),
            Line(queries.score(names.CALIBRATION_ECE_EQUAL_MASS, WINDOW, *CHOSEN), "equal mass", parts.GREEN),
            Line(queries.score(names.CALIBRATION_ECE_CLASS, WINDOW, *CHOSEN), "worst class", parts.VERMILION),
            Line(queries.score(names.LOG_LOSS, WINDOW, *CHOSEN), "log loss", parts.GREY, dashed=True),
        ),
        parts.lines(
            "Segments",
            "The five worst segments by each score, of those with enough outcomes; a good average may hide a bad segment.",
            "short",
            Place(8, 0, 8, 7),
            Line(f"bottomk by ({METRIC}) (5, {_scores(queries, '!~')})", f"{{{{{SEGMENT}}}}} {{{{{METRIC}}}}}"),
            Line(f"topk by ({METRIC}) (5, {_scores(queries, '=~')})", f"{{{{{SEGMENT}}}}} {{{{{METRIC}}}}}"),
            least=None,
        ),
        parts.lines(
            "Mean error by prediction range",
            "For a regression, prediction minus truth: above 0 it predicts too much there.",
            "short",
            Place(16, 0, 8, 7),
            Line(_max(queries, names.RESIDUAL_MEAN, BIN), f"{{{{{BIN}}}}}"),
            least=None,
        ),
        parts.lines(
            "Are labelled predictions representative?",
            "PSI of the predictions with a known outcome against all: above the noise floor, the scores describe a biased selection.",
            "short",
            Place(0, 7, 8, 7),
            Line(_labelled(queries, names.PREDICTION_PSI), "PSI", parts.BLUE),
            Line(floor, "noise floor", parts.GREY, dashed=True),
        ),
        parts.lines(
            "Labels corrected by a trusted source",
            "Share of labels that were wrong, where a trusted source checked, with its 95 % interval.",
            parts.SHARE,
            Place(8, 7, 8, 7),
            Line(_of_model(queries, names.LABEL_NOISE), "wrong", parts.VERMILION),
            Line(_of_model(queries, names.LABEL_NOISE_LOW), "low", parts.GREY, dashed=True),
            Line(_of_model(queries, names.LABEL_NOISE_HIGH), "high", parts.GREY, dashed=True),
        ),
        parts.lines(
            "Agreement of annotators",
            "Cohen's kappa: 1 is full agreement, 0 is chance.",
            "short",
            Place(16, 7, 8, 7),
            Line(_of_model(queries, names.LABEL_KAPPA, ANNOTATORS), f"{{{{{ANNOTATORS}}}}}"),
            least=None,
        ),
    ]


def _worth(queries: Queries) -> list[Panel]:
    """Counters of pairs: the business metric beside the model's."""

    def rate(metric: Metric, by: str, *matchers: str) -> str:
        return _rate(queries, metric, by, *CHOSEN, *matchers)

    gain, loss = (rate(names.OUTCOME_VALUE_SUM, DECISION, equal(DIRECTION, side)) for side in ("gain", "loss"))
    return [
        parts.lines(
            "Confusion",
            "Pairs per second by true and predicted class.",
            parts.PER_SECOND,
            Place(0, 0, 8, 7),
            Line(f"topk({parts.SHOWN}, {rate(names.OUTCOME_CONFUSION, f'{LABEL}, {DECISION}')})", f"{{{{{LABEL}}}}} as {{{{{DECISION}}}}}"),
        ),
        parts.lines(
            "Size of errors",
            "For a regression: mean size of the errors, for predictions above and below the truth.",
            "short",
            Place(8, 0, 8, 7),
            Line(
                f"{rate(names.OUTCOME_RESIDUAL_SUM, DIRECTION)} / {rate(names.OUTCOME_RESIDUALS, DIRECTION)}",
                f"{{{{{DIRECTION}}}}}",
            ),
        ),
        parts.lines(
            "Value by decision",
            "Value per second for each decision, and the number of outcomes behind it.",
            "short",
            Place(16, 0, 8, 7),
            Line(f"{gain} - ({loss} or {gain} * 0)", f"value, {{{{{DECISION}}}}}"),
            Line(rate(names.OUTCOME_VALUES, DECISION), f"outcomes, {{{{{DECISION}}}}}", dashed=True),
            least=None,
        ),
    ]


def _max(queries: Queries, metric: Metric, by: str) -> str:
    return f"max by ({by}) ({queries.windowed(metric, WINDOW, *CHOSEN)})"


def _scores(queries: Queries, sign: str) -> str:
    """The scores of segments that are errors, of which more is worse, or with `!~` the others."""
    chosen = queries.windowed(names.SEGMENT_PERFORMANCE, WINDOW, *CHOSEN, f'{METRIC}{sign}"bias|mae"')
    return f"max by ({SEGMENT}, {METRIC}) ({chosen})"


def _labelled(queries: Queries, metric: Metric) -> str:
    """A score of the labelled predictions against all."""
    matchers = (equal(names.WINDOW, WINDOW), equal(REFERENCE, names.REFERENCE_ALL), *CHOSEN)
    return f"max({queries.series(metric, *matchers)})"


def _of_model(queries: Queries, metric: Metric, by: str = MODEL) -> str:
    return f"max by ({by}) ({queries.windowed(metric, WINDOW, equal(MODEL, '$model'))})"


def _received(queries: Queries, metric: Metric) -> str:
    """What came for the model, and what names no model that the exporter knows."""
    rates = (f"rate({queries.series(metric, equal(MODEL, name))}[$__rate_interval])" for name in ("$model", ""))
    return f"sum by ({RESULT}) ({' or '.join(rates)})"


def _rate(queries: Queries, metric: Metric, label: str, *matchers: str) -> str:
    return f"sum by ({label}) (rate({queries.series(metric, *matchers)}[$__rate_interval]))"
