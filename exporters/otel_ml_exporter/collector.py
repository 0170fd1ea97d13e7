"""The last readings as a prometheus_client collector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from otel_ml.catalogue import EXPORTER_METRICS
from otel_ml_exporter.evaluate import Reading


class ReadingsCollector(Collector):
    """Serves the readings that were published last; they are replaced as a whole and never changed."""

    def __init__(self) -> None:
        self._readings: tuple[Reading, ...] = ()

    def publish(self, readings: Iterable[Reading]) -> None:
        """Serve these readings from now on, and none of those before."""
        self._readings = tuple(readings)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The readings as metric families, in the order of the catalogue."""
        by_name: dict[str, list[Reading]] = {}
        for reading in self._readings:
            by_name.setdefault(reading.metric.name, []).append(reading)
        for metric in EXPORTER_METRICS:
            readings = by_name.get(metric.name)
            if readings:
                family_type = CounterMetricFamily if metric.instrument == "counter" else GaugeMetricFamily
                family = family_type(metric.prometheus, metric.brief, labels=metric.labels)
                for reading in readings:
                    family.add_metric(reading.labels, reading.value)
                yield family
