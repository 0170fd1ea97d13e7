"""What two versions did in a window, as Prometheus counted it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from otel_ml import catalogue as names
from otel_ml.errors import OtelMLError
from otel_ml_exporter.mixin.promql import ACCEPTED, BIN, ERROR, MODEL, ROLE, VERSION, equal
from otel_ml_exporter.prometheus import Prometheus


class VersionError(OtelMLError):
    """Which versions are to be compared cannot be told."""


@dataclass(frozen=True)
class Served:
    """One version in a window, less rejected calls; `within` maps the upper bound of a bucket in seconds to the calls within it."""

    version: str
    calls: float
    failed: float
    within: Mapping[float, float]
    predictions: Mapping[str, float]


def served(server: Prometheus, model: str, version: str, window: float) -> Served:
    """The counts of one version."""

    def increase(metric: str, by: str, *more: str) -> dict[str, float]:
        matchers = ", ".join((equal(MODEL, model), equal(VERSION, version), *more))
        samples = server.vector(f"sum by ({by}) (increase({metric}{{{matchers}}}[{window:.0f}s]))")
        return {sample.labels.get(by, ""): sample.value for sample in samples if math.isfinite(sample.value)}

    duration = names.INFERENCE_DURATION.prometheus
    calls = increase(f"{duration}_count", ERROR, ACCEPTED)
    return Served(
        version,
        calls=sum(calls.values()),
        failed=sum(count for error, count in calls.items() if error),
        within={float(bound): count for bound, count in increase(f"{duration}_bucket", "le", ACCEPTED).items()},
        predictions=increase(names.PREDICTION_OBSERVATIONS.prometheus, BIN),
    )


def version_of(server: Prometheus, model: str, role: str, given: str | None) -> str:
    """The version that is given, or the one that has the role; it serves now. Raises `VersionError`.

    Counts of the past outlive the process that counted: a canary that died has failed no call.
    """
    wanted = equal(ROLE, role) if given is None else equal(VERSION, given)
    found = server.vector(f"group by ({VERSION}) ({names.MODEL_INFO.prometheus}{{{equal(MODEL, model)}, {wanted}}})")
    versions = sorted(sample.labels.get(VERSION, "") for sample in found)
    if given is not None and not versions:
        raise VersionError(f"version {given} of model {model} reports nothing now: is it down, or not scraped? No {role}, no verdict")
    if len(versions) != 1:
        told = f"versions {', '.join(versions)} have" if versions else "no version has"
        raise VersionError(f"{told} the role {role} of model {model}; give --{role} VERSION")
    return versions[0]
