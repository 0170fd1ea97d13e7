"""Drift: which features moved, how far, and where to."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.parts import CHOSEN, Line, Panel, Place, Section
from otel_ml_exporter.mixin.dashboards.rows import sampled_rows
from otel_ml_exporter.mixin.groups.limits import limit
from otel_ml_exporter.mixin.promql import BIN, FEATURE, MODEL, SIGNAL, VERSION, VIOLATION, Queries, equal

WINDOW = "$window"
THIS = (*CHOSEN, equal(FEATURE, "$feature"))
OF_VERSION = ", ".join(CHOSEN)
SHOWN = 20
"""Features in the table and in the variable: more would neither be read nor be drawn."""


def drift(queries: Queries) -> models.Dashboard:
    """Which features moved, how far, and where to."""
    built = parts.frame("otel-ml-drift", "Models: drift", "The inputs of one version, compared with its baseline.")
    for variable in _variables(queries):
        built = built.with_variable(variable)
    return parts.assembled(
        built,
        Section("", [*_totals(queries), _share(queries), _table(queries)]),
        Section("Feature $feature", _feature(queries)),
        Section("Rows as a whole", _outliers(queries)),
        Section("Sampled rows, if events carry features", sampled_rows(queries), folded=True),
    )


def model_variables(queries: Queries) -> list[dashboard.QueryVariable]:
    """One model and one version of it."""
    info = queries.series(names.MODEL_INFO, equal(MODEL, "$model"))
    return [
        parts.chooser("model", "Model", "The model to show.", f"label_values({queries.series(names.MODEL_INFO)}, {MODEL})"),
        parts.chooser("version", "Version", "The version to show.", f"label_values({info}, {VERSION})"),
    ]


def _variables(queries: Queries) -> list[dashboard.QueryVariable | dashboard.CustomVariable]:
    """The feature is one of those that moved most; where there is no score yet, one of those that are counted."""
    scored = f"max by ({FEATURE}) ({queries.windowed(names.FEATURE_PSI, WINDOW, *CHOSEN)})"
    counted = f"0 * sum by ({FEATURE}) ({queries.series(names.FEATURE_OBSERVATIONS, *CHOSEN)})"
    worst = f"query_result(sort_desc(topk({SHOWN}, {scored} or on ({FEATURE}) {counted})))"
    found = f'/{FEATURE}="(.*)"}}/'
    feature = parts.chooser("feature", "Feature", f"The {SHOWN} features that moved most, furthest first.", worst, regex=found)
    return [*model_variables(queries), parts.window_chooser(queries), feature]


def _best(queries: Queries, metric: Metric, *matchers: str) -> str:
    return queries.score(metric, WINDOW, *(matchers or CHOSEN))


def _totals(queries: Queries) -> list[Panel]:
    drifted = f"max({queries.windowed(names.FEATURE_DRIFTED, WINDOW, *CHOSEN)})"
    created = f"time() - max({queries.series(names.BASELINE_CREATED, *CHOSEN)})"
    mismatch = f"max({queries.series(names.EXPORTER_BASELINE_MISMATCHES, *CHOSEN)}) or vector(0)"
    return [
        parts.state("Verdict", "LOOK when at least one feature drifted.", Place(0, 0, 4, 4), drifted),
        parts.number(
            "Drifted features",
            "Share of features whose verdict is drift.",
            parts.SHARE,
            Place(4, 0, 4, 4),
            _best(queries, names.DRIFTED_FEATURES_RATIO),
        ),
        parts.number(
            "Rows in the window",
            "Rows behind the scores; below the exporter's minimum there is no score.",
            "short",
            Place(8, 0, 4, 4),
            queries.samples(names.SIGNAL_FEATURE, WINDOW, *CHOSEN),
        ),
        parts.number("Age of the baseline", "Time since it was built.", "s", Place(12, 0, 6, 4), created),
        parts.state(
            "Baselines of server and exporter",
            "When they differ, nothing can be compared.",
            Place(18, 0, 6, 4),
            f"({mismatch}) > bool 0",
            {"0": ("the same", parts.GREEN), "1": ("DIFFER", parts.VERMILION)},
        ),
    ]


def _share(queries: Queries) -> Panel:
    return parts.lines(
        "Drifted features over time",
        "Share of features whose verdict is drift; above the dashed line, ModelDatasetDrift fires.",
        parts.SHARE,
        Place(0, 4, 9, 11),
        Line(_best(queries, names.DRIFTED_FEATURES_RATIO), "drifted", parts.BLUE),
        Line(queries.limit(names.SIGNAL_DRIFTED_FEATURES, names.WARNING, *CHOSEN), "limit", parts.VERMILION, dashed=True),
    )


def _table(queries: Queries) -> Panel:
    psi = f"max by ({FEATURE}) ({queries.windowed(names.FEATURE_PSI, WINDOW, *CHOSEN)})"
    columns = {
        "Verdict": names.FEATURE_DRIFTED,
        "PSI": names.FEATURE_PSI,
        "Noise floor": names.FEATURE_PSI_NOISE_FLOOR,
        "Impact": names.FEATURE_IMPACT,
        "Missing": names.FEATURE_MISSING_RATIO,
        "Unseen": names.FEATURE_UNSEEN_RATIO,
        "Fullest bin": names.FEATURE_TOP_BIN_RATIO,
        "Out of range": names.FEATURE_OUT_OF_RANGE_RATIO,
    }
    panel = parts.grid_table("Features", f"The {SHOWN} features that moved most, furthest first.", Place(9, 4, 15, 11))
    for ref, metric in zip("ABCDEFGH", columns.values(), strict=True):
        score = f"max by ({FEATURE}) ({queries.windowed(metric, WINDOW, *CHOSEN)}) and on ({FEATURE}) topk({SHOWN}, {psi})"
        panel = panel.with_target(parts.query(score, ref, rows=True))
    panel = panel.with_transformation(parts.transformation("merge"))
    renamed = {FEATURE: "Feature", **{f"Value #{ref}": title for ref, title in zip("ABCDEFGH", columns, strict=True)}}
    panel = panel.with_transformation(parts.transformation("organize", excludeByName={"Time": True}, renameByName=renamed))
    panel = panel.sort_by([common.TableSortByFieldState().display_name("PSI").desc(True)])
    for title in ("Missing", "Unseen", "Fullest bin", "Out of range"):
        panel = panel.override_by_name(title, [DynamicConfigValue(id_val="unit", value=parts.SHARE)])
    chosen = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "model", "version", "window"))
    url = f"/d/otel-ml-drift?${{__url_time_range}}&{chosen}&var-feature=${{__data.fields.Feature:percentencode}}"
    panel = panel.override_by_name("Feature", [DynamicConfigValue(id_val="links", value=[{"title": "Show it below", "url": url}])])
    return panel.override_by_name("Verdict", parts.colored())


def _feature(queries: Queries) -> list[Panel]:
    counts = queries.series(names.FEATURE_OBSERVATIONS, *THIS)
    baseline = queries.series(names.BASELINE_BIN_RATIO, *THIS, equal(SIGNAL, names.SIGNAL_FEATURE))
    violations = queries.series(names.FEATURE_VIOLATIONS, *THIS)
    return [
        parts.distance(
            "PSI",
            "Distance from the baseline. The verdict is drift above both dashed lines, or when values leave the range or the vocabulary.",
            Place(0, 0, 12, 7),
            Line(_best(queries, names.FEATURE_PSI, *THIS), "PSI", parts.BLUE),
            Line(queries.limit(names.SIGNAL_FEATURE_PSI, names.WARNING, *CHOSEN), "limit", parts.VERMILION, dashed=True),
            Line(_best(queries, names.FEATURE_PSI_NOISE_FLOOR, *THIS), "noise floor", parts.GREY, dashed=True),
        ),
        parts.bars(
            "Live against baseline",
            "Share of values in each bin, in the window and in the baseline.",
            Place(12, 0, 12, 7),
            BIN,
            {"live": parts.shares(counts, WINDOW), "baseline": f"max by ({BIN}) ({baseline})"},
        ),
        parts.heat(
            "Bins over time",
            "Share of values in each bin: a band that jumps shows when the change began.",
            Place(0, 7, 12, 8),
            parts.shares(counts, "$__rate_interval"),
            f"{{{{{BIN}}}}}",
        ),
        parts.lines(
            "Missing, unseen, out of range",
            "Share of values that are missing, outside the baseline's vocabulary, or outside its range.",
            parts.SHARE,
            Place(12, 7, 12, 8),
            Line(_best(queries, names.FEATURE_MISSING_RATIO, *THIS), "missing", parts.ORANGE),
            Line(_best(queries, names.FEATURE_UNSEEN_RATIO, *THIS), "unseen", parts.PURPLE),
            Line(_best(queries, names.FEATURE_OUT_OF_RANGE_RATIO, *THIS), "out of range", parts.SKY),
        ),
        parts.lines(
            "Violations",
            "Values per second that violate the baseline's schema, by type; ModelInputDataBroken fires on their share of all values.",
            parts.PER_SECOND,
            Place(0, 15, 12, 7),
            Line(f"sum by ({VIOLATION}) (rate({violations}[$__rate_interval]))", f"{{{{{VIOLATION}}}}}"),
        ),
        parts.lines(
            "Other distances",
            "The same counts by other measures, and the probability of such counts if nothing had changed; none of these is the verdict.",
            "short",
            Place(12, 15, 12, 7),
            Line(_best(queries, names.FEATURE_KS, *THIS), "KS", parts.BLUE),
            Line(_best(queries, names.FEATURE_JS_DISTANCE, *THIS), "Jensen-Shannon", parts.GREEN),
            Line(_best(queries, names.FEATURE_WASSERSTEIN, *THIS), "Wasserstein", parts.ORANGE),
            Line(_best(queries, names.FEATURE_DRIFT_PVALUE, *THIS), "p-value", parts.GREY, dashed=True),
        ),
    ]


def _outliers(queries: Queries) -> list[Panel]:
    counts = queries.series(names.OUTLIER_OBSERVATIONS, *CHOSEN)
    return [
        parts.heat(
            "Outlier scores",
            "Share of rows per bin of the squared Mahalanobis distance; mass that moves up means rows unlike any in the baseline.",
            Place(0, 0, 8, 8),
            parts.shares(counts, "$__rate_interval"),
            f"{{{{{BIN}}}}}",
        ),
        parts.distance(
            "Outlier scores: PSI",
            "Distance of the scores from the baseline: it moves when features change together, even if none does alone. Only models "
            "that return logits have energies.",
            Place(8, 0, 8, 8),
            Line(_best(queries, names.OUTLIER_PSI), "PSI", parts.BLUE),
            Line(_best(queries, names.OUTLIER_PSI_NOISE_FLOOR), "noise floor", parts.GREY, dashed=True),
            Line(_best(queries, names.ENERGY_PSI), "PSI of energies", parts.ORANGE),
            Line(_best(queries, names.ENERGY_PSI_NOISE_FLOOR), "their noise floor", parts.GREEN, dashed=True),
        ),
        parts.lines(
            "Rows unlike any in the baseline",
            "Share of rows beyond 99.9 % of the baseline's, by distance or by energy; above the dashed line, ModelOutliersRising fires.",
            parts.SHARE,
            Place(16, 0, 8, 8),
            Line(f"model_version:ml_outliers:ratio{queries.knobs.rate_window}{{{OF_VERSION}}}", queries.knobs.rate_window, parts.SKY),
            Line(f"model_version:ml_outliers:ratio{queries.knobs.short_window}{{{OF_VERSION}}}", queries.knobs.short_window, parts.BLUE),
            Line(f"model_version:ml_energies:ratio{queries.knobs.rate_window}{{{OF_VERSION}}}", "by energy", parts.ORANGE),
            Line(f"{limit(names.SIGNAL_OUTLIER_SHARE)}{{{OF_VERSION}}}", "limit", parts.VERMILION, dashed=True),
        ),
    ]
