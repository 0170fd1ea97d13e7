"""The exposition text, to the letter."""

import tracemalloc

from prometheus_client.parser import text_string_to_metric_families

from otel_ml import catalogue as names
from otel_ml_exporter.collector import ReadingsCollector
from otel_ml_exporter.evaluate import Reading

GOLDEN = r"""# HELP ml_feature_psi Population stability index of a feature against its reference.
# TYPE ml_feature_psi gauge
ml_feature_psi{ml_feature_name="age \"in years\"\\n",ml_model_name="churn",ml_model_version="3",reference="baseline",window="1h"} 0.25
# HELP ml_exporter_source_up 1 when the source of counts answered the last query.
# TYPE ml_exporter_source_up gauge
ml_exporter_source_up{source="otlp"} 1.0
# HELP ml_exporter_evaluation_errors_total Evaluations that failed.
# TYPE ml_exporter_evaluation_errors_total counter
ml_exporter_evaluation_errors_total 2.0
"""


def text(collector):
    return b"".join(collector.text()).decode()


def test_readings_become_exposition_text_in_the_order_of_the_catalogue():
    collector = ReadingsCollector()
    collector.publish(
        [
            Reading(names.EXPORTER_EVALUATION_ERRORS, (), 2),
            Reading(names.EXPORTER_SOURCE_UP, ("otlp",), 1.0),
            Reading(names.FEATURE_PSI, ("churn", "3", 'age "in years"\\n', "1h", "baseline"), 0.25),
        ]
    )
    assert text(collector) == GOLDEN


def test_any_label_and_any_number_is_read_back_as_it_was():
    labels = [("a\nb", "\\", '"', "%s {}", "é"), ("", "x", "y", "1h", "baseline")]
    collector = ReadingsCollector()
    collector.publish(Reading(names.FEATURE_PSI, of, value) for of, value in zip(labels, (float("inf"), 1e-17), strict=True))
    (family,) = text_string_to_metric_families(text(collector))
    order = names.FEATURE_PSI.labels
    assert [tuple(sample.labels[name] for name in order) for sample in family.samples] == labels
    assert [sample.value for sample in family.samples] == [float("inf"), 1e-17]


def test_a_scrape_never_holds_its_whole_text():
    collector = ReadingsCollector()
    collector.publish(Reading(names.FEATURE_PSI, ("churn", "3", f"f{i}", "1h", "baseline"), i) for i in range(20_000))
    tracemalloc.start()
    size = sum(map(len, collector.text()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 2e6
    assert peak < size / 3


def test_what_is_published_replaces_what_was():
    collector = ReadingsCollector()
    collector.publish([Reading(names.EXPORTER_SOURCE_UP, ("otlp",), 1.0)])
    collector.publish([])
    assert text(collector) == ""
