"""Counts from a Prometheus-compatible server, which has already added them over replicas and restarts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from otel_ml.catalogue import MODEL_INFO, MODEL_ROLE, SEGMENT, Metric, prometheus
from otel_ml_exporter import bounded
from otel_ml_exporter.config import PrometheusSettings, Window
from otel_ml_exporter.counts import COUNTED, ModelCounts, Roles, Series, SourceError, gather, series

_Sample = tuple[dict[str, str], float]


class PrometheusSource:
    """Asks for the increase of each of the plugin's counters, one instant query for each window, by segment where that is wanted."""

    name = "prometheus"

    def __init__(self, settings: PrometheusSettings, *, segments: bool = False) -> None:
        self._segments = segments
        self._url = f"{settings.url}/api/v1/query"
        self._host = httpx.URL(settings.url).netloc.decode("ascii")
        access = settings.access
        self._timeout = settings.timeout
        self._client = httpx.Client(timeout=settings.timeout, headers=access.sent, verify=access.tls)

    def read(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:
        """See `Source.read`."""
        return {window: gather(pair for metric in COUNTED for pair in self.increases(metric, window, at)) for window in windows}

    def earlier(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:
        """See `Source.earlier`; asked at that time, which is what an `offset` does. Windows without counts are left out."""
        return {window: counts for window, counts in self.read(windows, at).items() if counts}

    def roles(self, at: float) -> Roles:
        """See `Source.roles`."""
        labels = [prometheus(attribute) for attribute in (*MODEL_INFO.attributes[:3], MODEL_ROLE)]
        found = (sample for sample, _ in self._query(f"group by ({', '.join(labels)}) ({MODEL_INFO.prometheus})", at))
        served = ([sample.get(label, "") for label in labels] for sample in found)
        return {(model, version, baseline_id): role for model, version, baseline_id, role in served}

    def close(self) -> None:
        """See `Source.close`."""
        self._client.close()

    def increases(self, metric: Metric, window: Window, at: float) -> Iterator[tuple[Series, float]]:
        """What each number counts, and by how much it grew in the window, 0 included."""
        attributes = dict(zip(metric.labels, metric.attributes, strict=True))
        for labels, value in self._query(query(metric, window, segments=self._segments), at):
            found = series(metric, {attributes.get(label, label): content for label, content in labels.items()})
            if found and math.isfinite(value):
                yield found, value

    def _query(self, expression: str, at: float) -> list[_Sample]:
        try:
            asked = {"query": expression, "time": f"{at:.3f}"}
            response = bounded.request(self._client, "POST", self._url, self._timeout, data=asked)
            answer = response.json()
        except httpx.HTTPError as error:
            raise SourceError(f"Prometheus at {self._host} does not answer ({type(error).__name__}: {error}); is it running?") from error
        except json.JSONDecodeError as error:
            if response.status_code in (401, 403):
                problem = f"Prometheus at {self._host} lets nobody in ({response.status_code})"
                raise SourceError(f"{problem}; say in http_config how to log in") from error
            raise SourceError(f"{self._host} answers {response.status_code} without JSON; is the URL that of a Prometheus?") from error
        return _vector(answer, self._host)


def query(metric: Metric, window: Window, *, segments: bool = False) -> str:
    """The expression that gives the increase of a counter over a window, per model, feature and bin, over all segments or by segment.

    >>> from otel_ml.catalogue import PREDICTION_OBSERVATIONS
    >>> query(PREDICTION_OBSERVATIONS, Window("1h", 3600))
    'sum by (ml_model_name, ml_model_version, ml_baseline_id, ml_bin) (increase(ml_prediction_observations_total[3600s]))'
    """
    labels = ", ".join(prometheus(attribute) for attribute in metric.attributes if segments or attribute != SEGMENT)
    return f"sum by ({labels}) (increase({metric.prometheus}[{window.seconds:.0f}s]))"


def _vector(answer: Any, host: str) -> list[_Sample]:
    """The samples of an answer to an instant query."""
    try:
        if answer["status"] == "success":
            return [(dict(entry["metric"]), float(entry["value"][1])) for entry in answer["data"]["result"]]
        problem = f"{answer['errorType']}: {answer['error']}"
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SourceError(f"{host} answers with something else than a Prometheus vector; is the URL that of a Prometheus?") from error
    raise SourceError(f"Prometheus at {host} refuses the query ({problem}); look at its log and limits")
