"""Names are the product's public surface: they are those of the contract, and spelled in one place."""

import ast
from pathlib import Path

import pytest

from otel_ml import catalogue

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "otel_ml").rglob("*.py"))

MODEL = "ml.model.name ml.model.version"
BINNED = f"{MODEL} ml.baseline.id"
PLUGIN = {
    "ml.inference.duration": ("histogram", "s", f"{MODEL} error.type", "ml_inference_duration_seconds"),
    "ml.inference.rows": ("counter", "{row}", MODEL, "ml_inference_rows_total"),
    "ml.feature.observations": ("counter", "{observation}", f"{BINNED} ml.feature.name ml.bin", "ml_feature_observations_total"),
    "ml.feature.violations": ("counter", "{violation}", f"{BINNED} ml.feature.name ml.violation.type", "ml_feature_violations_total"),
    "ml.prediction.observations": ("counter", "{observation}", f"{BINNED} ml.bin ml.segment", "ml_prediction_observations_total"),
    "ml.output.observations": ("counter", "{observation}", f"{BINNED} ml.output.name ml.bin", "ml_output_observations_total"),
    "ml.confidence.observations": ("counter", "{observation}", f"{BINNED} ml.bin ml.segment", "ml_confidence_observations_total"),
    "ml.energy.observations": ("counter", "{observation}", f"{BINNED} ml.bin", "ml_energy_observations_total"),
    "ml.outlier.observations": ("counter", "{observation}", f"{BINNED} ml.bin", "ml_outlier_observations_total"),
    "ml.prediction.abstentions": ("counter", "{row}", MODEL, "ml_prediction_abstentions_total"),
    "ml.verification.records": ("gauge", "{record}", f"{MODEL} ml.verification.result", "ml_verification_records"),
    "ml.shadow.comparisons": ("counter", "{row}", f"{MODEL} ml.shadow.result", "ml_shadow_comparisons_total"),
    "ml.model.info": ("gauge", "{model}", f"{BINNED} ml.model.task ml.model.role", "ml_model_info"),
    "ml.monitor.dropped": ("counter", "{row}", f"{MODEL} ml.drop.reason", "ml_monitor_dropped_total"),
    "ml.monitor.errors": ("counter", "{error}", f"{MODEL} error.type", "ml_monitor_errors_total"),
}
EXPORTER = {
    "ml_feature_psi": "feature_name window reference",
    "ml_feature_psi_noise_floor": "feature_name window reference",
    "ml_feature_missing_ratio": "feature_name window reference",
    "ml_feature_unseen_ratio": "feature_name window reference",
    "ml_feature_out_of_range_ratio": "feature_name window reference",
    "ml_feature_drifted": "feature_name window reference",
    "ml_prediction_psi": "window reference",
    "ml_prediction_psi_noise_floor": "window reference",
    "ml_confidence_psi": "window reference",
    "ml_confidence_psi_noise_floor": "window reference",
    "ml_drifted_features_ratio": "window reference",
    "ml_calibration_ece": "window",
    "ml_calibration_ece_noise_floor": "window",
    "ml_calibration_mce": "window",
    "ml_brier_score": "window",
    "ml_window_samples": "window signal",
    "ml_outcome_coverage_ratio": "window",
    "ml_outcome_last_timestamp_seconds": "",
    "ml_baseline_bin_ratio": "baseline_id signal feature_name bin",
    "ml_baseline_info": "baseline_id model_task",
    "ml_baseline_created_timestamp_seconds": "baseline_id",
    "ml_threshold": "signal severity",
}
OF_THE_EXPORTER_ITSELF = {
    "ml_exporter_source_up",
    "ml_exporter_last_evaluation_timestamp_seconds",
    "ml_exporter_evaluation_duration_seconds",
}


def test_the_plugin_emits_what_the_contract_says():
    found = {m.name: (m.instrument, m.unit, " ".join(m.attributes), m.prometheus) for m in catalogue.PLUGIN_METRICS}
    assert found == PLUGIN


def test_the_exporter_publishes_what_the_contract_says():
    """Further metrics may be added; none of these may be renamed or lose a label."""
    found = {metric.prometheus: set(metric.labels) for metric in catalogue.EXPORTER_METRICS}
    assert set(found) >= OF_THE_EXPORTER_ITSELF
    for name, labels in EXPORTER.items():
        expected = {label if label in ("window", "reference", "severity") else f"ml_{label}" for label in labels.split()}
        assert found[name] == {"ml_model_name", "ml_model_version"} | expected, name


def test_no_two_metrics_share_a_name():
    names = [metric.prometheus for metric in catalogue.METRICS]
    assert len(set(names)) == len(names)


def test_events_and_reserved_bins_are_those_of_the_contract():
    assert (catalogue.EVENT_PREDICTION, catalogue.EVENT_OUTCOME) == ("ml.prediction", "ml.outcome")
    assert (catalogue.MISSING, catalogue.OTHER) == ("__missing__", "__other__")


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name != "catalogue.py"], ids=lambda path: path.name)
def test_a_name_is_spelled_in_the_catalogue_only(path):
    tree = ast.parse(path.read_text("utf-8"))
    documented = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None
    }
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [node.value for node in literals if node.value.startswith(("ml.", "ml_")) and node not in documented] == []
