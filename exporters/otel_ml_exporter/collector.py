"""The last readings as Prometheus text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from otel_ml.catalogue import EXPORTER_METRICS, Metric
from otel_ml_exporter.evaluate import Reading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LINES = 1_000
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class ReadingsCollector:
    """Serves the readings that were published last; they are replaced as a whole and never changed."""

    def __init__(self) -> None:
        self._readings: tuple[Reading, ...] = ()

    def publish(self, readings: Iterable[Reading]) -> None:
        """Serve these readings from now on, and none of those before."""
        self._readings = tuple(readings)

    def text(self) -> Iterator[bytes]:
        """The readings in the text format 0.0.4 and the order of the catalogue, some lines at a time: never all in memory."""
        by_name: dict[str, list[Reading]] = {}
        for reading in self._readings:
            by_name.setdefault(reading.metric.name, []).append(reading)
        lines = (line for metric in EXPORTER_METRICS for line in _family(metric, by_name.pop(metric.name, ())))
        while chunk := "".join(islice(lines, _LINES)):
            yield chunk.encode()


def _family(metric: Metric, readings: Sequence[Reading]) -> Iterator[str]:
    """The lines of a metric, its labels in the order of the alphabet; none where there are no readings."""
    if not readings:
        return
    name, labels = metric.prometheus, metric.labels
    order = sorted(range(len(labels)), key=labels.__getitem__)
    yield f"# HELP {name} {metric.brief}\n# TYPE {name} {metric.instrument}\n"
    template = name + "{" + ",".join(f'{labels[place]}="%s"' for place in order) + "} %r\n" if labels else f"{name} %r\n"
    for reading in readings:
        yield template % (*(_escaped(reading.labels[place]) for place in order), float(reading.value))


def _escaped(label: str) -> str:
    return label.translate(_ESCAPES) if "\\" in label or '"' in label or "\n" in label else label
