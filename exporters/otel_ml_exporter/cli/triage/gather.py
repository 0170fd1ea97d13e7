"""A report's values, asked from Prometheus and, for what is muted, from Alertmanager."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from otel_ml import Baseline
from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.alertmanager import Alertmanager
from otel_ml_exporter.cli import models
from otel_ml_exporter.cli.alerts.listing import about, state
from otel_ml_exporter.cli.pack import levels, own
from otel_ml_exporter.cli.triage.report import Change, Firing, Moved, Report, Version
from otel_ml_exporter.mixin.durations import is_duration, seconds
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import ALL_MODELS
from otel_ml_exporter.mixin.promql import (
    ACCEPTED,
    BASELINE,
    FAILED,
    FEATURE,
    MODEL,
    REJECTED,
    ROLE,
    SIGNAL,
    VERSION,
    WINDOW,
    Queries,
    equal,
)
from otel_ml_exporter.prometheus import Labels, Line, Prometheus, Rule
from otel_ml_exporter.remote import RemoteError

_STEPS = 288
_MOMENTS = 10_000
"""Of the range at which samples are looked for: what lived for nine seconds of a day, or for five minutes of a month, is found."""
_ORDER = (names.CRITICAL, names.WARNING)
_QUERIES = Queries(Knobs())


@dataclass(frozen=True)
class Score:
    """A score that a report tells: its floor, the signal of its limit and that of its samples."""

    what: str
    metric: Metric
    floor: Metric
    limit: str | None
    samples: str


SCORES: Final = (
    Score("PSI of feature", names.FEATURE_PSI, names.FEATURE_PSI_NOISE_FLOOR, names.SIGNAL_FEATURE_PSI, names.SIGNAL_FEATURE),
    Score(
        "PSI of predictions", names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR, names.SIGNAL_PREDICTION_PSI, names.SIGNAL_PREDICTION
    ),
    Score(
        "PSI of confidence", names.CONFIDENCE_PSI, names.CONFIDENCE_PSI_NOISE_FLOOR, names.SIGNAL_CONFIDENCE_PSI, names.SIGNAL_CONFIDENCE
    ),
    Score("PSI of outlier scores", names.OUTLIER_PSI, names.OUTLIER_PSI_NOISE_FLOOR, None, names.SIGNAL_OUTLIER),
    Score("PSI of energies", names.ENERGY_PSI, names.ENERGY_PSI_NOISE_FLOOR, None, names.SIGNAL_ENERGY),
    Score(
        "calibration error",
        names.CALIBRATION_ECE,
        names.CALIBRATION_ECE_NOISE_FLOOR,
        names.SIGNAL_CALIBRATION_ECE,
        names.SIGNAL_CALIBRATION,
    ),
)
_SHARES = (
    ("missing", names.FEATURE_MISSING_RATIO),
    ("out of range", names.FEATURE_OUT_OF_RANGE_RATIO),
    ("unseen", names.FEATURE_UNSEEN_RATIO),
)


@dataclass(frozen=True)
class Asking:
    """Whom is asked, about which model, and over which time."""

    server: Prometheus
    model: str
    window: str
    now: float
    back: float

    @property
    def matcher(self) -> str:
        """The label matcher of the model's series."""
        return equal(MODEL, self.model)

    @property
    def step(self) -> float:
        """The step of what is asked over time."""
        return self.back / _STEPS

    def scores(self, metric: Metric) -> dict[tuple[str, str], float]:
        """The scores of a metric by version and feature."""
        found = self.server.vector(_QUERIES.score(metric, self.window, self.matcher))
        return {_key(sample.labels): sample.value for sample in found if math.isfinite(sample.value)}

    def past_scores(self, metric: Metric) -> dict[tuple[str, str], list[tuple[float, float]]]:
        """The scores of a metric over the time looked back at."""
        return {_key(line.labels): line.points for line in self.past(_QUERIES.score(metric, self.window, self.matcher))}

    @property
    def moment(self) -> float:
        """The step at which samples are looked for whose own times are asked."""
        return max(5.0, self.back / _MOMENTS)

    def reported(self, which: str) -> dict[tuple[str, str, str], float]:
        """The time of the first (`min`) or last (`max`) sample of each version, role and baseline in the time looked back at."""
        looked = f"{self.back:.0f}s:{1000 * self.moment:.0f}ms"
        times = f"{which}_over_time(timestamp({names.MODEL_INFO.prometheus}{{{self.matcher}}})[{looked}])"
        found = self.server.vector(f"{which} by ({VERSION}, {ROLE}, {BASELINE}) ({times})", self.now)
        return {_served(sample.labels): sample.value for sample in found}

    def past(self, expression: str) -> list[Line]:
        """An expression over the time looked back at."""
        return self.server.lines(expression, self.now - self.back, self.now, self.step)


def gather(
    server: Prometheus,
    alertmanager: Alertmanager,
    *,
    model: str,
    window: str | None,
    now: float,
    back: float,
    top: int,
    baseline: Baseline | None,
) -> Report:
    """The report; what Alertmanager does not tell is a gap.

    Raises `RemoteError` when Prometheus does not answer, and `UnknownModelError` when it never heard of the model.
    """
    asking = Asking(server, model, window or _shortest(server, model), now, back)
    versions, changes, seen = _versions(asking)
    if not versions:
        models.check(server, model, now, back)
    gaps: list[str] = []
    rules = _rules(server, gaps)
    alerts = list(_alerts(asking, levels(rules), _muted(alertmanager, model, gaps))) if rules else []
    moved = list(_moved(asking, top, baseline)) if asking.window else []
    if not moved:
        gaps.append("there are no scores: too few samples, or no exporter; ask `otel-ml doctor`")
    return Report(
        model=model,
        at=now,
        step=asking.step,
        back=back,
        window=asking.window,
        seen=seen,
        watched=bool(rules),
        versions=versions,
        serving=list(_serving(asking)),
        alerts=alerts,
        moved=moved,
        changes=changes,
        gaps=gaps,
    )


def _rules(server: Prometheus, gaps: list[str]) -> list[Rule]:
    """The alerts of the pack that are loaded; without them nothing fires, whatever happens."""
    try:
        loaded = [rule for rule in own(server.rules()) if rule.alerting]
    except RemoteError as error:
        if not error.status:
            raise
        gaps.append(f"firing alerts unknown: {error}")
        return []
    if not loaded:
        gaps.append(f"no alert of the pack is loaded at {server.host}: nothing can fire; ask `otel-ml doctor`")
    return loaded


def _shortest(server: Prometheus, model: str) -> str:
    found = server.vector(f"group by ({WINDOW}) ({names.WINDOW_SAMPLES.prometheus}{{{equal(MODEL, model)}}})")
    windows = [sample.labels.get(WINDOW, "") for sample in found]
    return min((window for window in windows if is_duration(window)), key=seconds, default="")


def _versions(asking: Asking) -> tuple[list[Version], list[Change], float | None]:
    """What serves now, what began and ended, and when the model was seen last."""
    versions: list[Version] = []
    changes: list[Change] = []
    served = f"count by ({VERSION}, {ROLE}, {BASELINE}) ({names.MODEL_INFO.prometheus}{{{asking.matcher}}})"
    present = {_served(sample.labels): sample.value for sample in asking.server.vector(served, asking.now)}
    replicas = {_served(line.labels): line.points for line in asking.past(served)}
    begins, ends = asking.reported("min"), {**dict.fromkeys(present, asking.now), **asking.reported("max")}
    for key, last in ends.items():
        version, role, baseline = key
        told = f"version {version}" + (f" ({role})" if role else "") + (f" with baseline {baseline}" if baseline else " without a baseline")
        first = begins.get(key, last)
        since = first if first > asking.now - asking.back + asking.moment else None
        if since is not None:
            changes.append(Change(first, f"{told} began to serve"))
        if key in present:
            versions.append(Version(version, role, baseline, present[key], since))
        else:
            changes.append(Change(last, f"{told} ended"))
        changes += list(_replicas(told, replicas.get(key, ())))
    seen = max(ends.values(), default=None)
    return sorted(versions, key=lambda each: each.version), sorted(changes, key=lambda change: change.at), seen


def _served(labels: Labels) -> tuple[str, str, str]:
    """The version, its role and its baseline."""
    return labels.get(VERSION, ""), labels.get(ROLE, ""), labels.get(BASELINE, "")


def _replicas(told: str, points: Sequence[tuple[float, float]]) -> Iterator[Change]:
    """Changes of the number of replicas, but at most three of them."""
    steps = [(after, at, before, now) for (after, before), (at, now) in pairwise(points) if before != now]
    yield from (Change(at, f"{told}: {before:.0f} -> {now:.0f} replicas", after) for after, at, before, now in steps[-3:])


def _serving(asking: Asking) -> Iterator[str]:
    """Traffic, rejections, failures and latency now, and traffic a day before."""
    duration, number = names.INFERENCE_DURATION.prometheus, asking.server.number
    counted = f"sum(increase({duration}_count{{{asking.matcher}}}[15m]"
    calls, before = number(f"{counted}))"), number(f"{counted} offset 1d))")
    if calls is None:
        return
    yield f"{calls:.0f} calls in 15m" + ("" if before is None else f", {before:.0f} at this time yesterday")
    rejected, failed = (number(f"sum(increase({duration}_count{{{asking.matcher}, {which}}}[15m]))") or 0.0 for which in (REJECTED, FAILED))
    if rejected:
        yield f"{rejected:.0f} of them were rejected: invalid input"
    if calls > rejected:
        yield f"{failed / (calls - rejected):.2%} of {'the others' if rejected else 'them'} failed" + _latency(asking)


def _latency(asking: Asking) -> str:
    """How long calls took, and should."""
    buckets = f"{names.INFERENCE_DURATION.prometheus}_bucket{{{asking.matcher}, {ACCEPTED}}}"
    slow = asking.server.number(f"histogram_quantile(0.95, sum by (le) (increase({buckets}[15m])))")
    if slow is None:
        return ""
    objective = asking.server.number(f"max({names.THRESHOLD.prometheus}{{{asking.matcher}, {equal(SIGNAL, names.SIGNAL_LATENCY)}}})")
    stated = "no objective: `thresholds: {latency: ...}` of the exporter" if objective is None else f"objective {objective:g} s"
    return f"; 95% took up to {slow:.3g} s ({stated})"


def _muted(alertmanager: Alertmanager, model: str, gaps: list[str]) -> Callable[[Labels], str]:
    """How Alertmanager mutes an alert, by its labels."""
    try:
        held = [alert for name in (model, ALL_MODELS) for alert in alertmanager.alerts(about(name))]
    except RemoteError as error:
        gaps.append(f"muted alerts unknown: {error}")
        held = []
    muted = [(alert.labels, state(alert)) for alert in held if alert.state == "suppressed"]

    def by(labels: Labels) -> str:
        return next((how for known, how in muted if all(known.get(name) == value for name, value in labels.items())), "")

    return by


def _alerts(asking: Asking, words: Mapping[str, str], muted: Callable[[Labels], str]) -> Iterator[Firing]:
    """The alerts about the model or about all, worst first, those that fire before those that are pending."""

    def level(labels: Labels) -> str:
        word = labels.get(names.SEVERITY, "")
        return words.get(word, word)

    def rank(alert: Any) -> tuple[bool, int, float]:
        severity = level(alert.labels)
        return alert.state != "firing", (_ORDER.index(severity) if severity in _ORDER else len(_ORDER)), alert.since

    concern = [
        alert
        for alert in asking.server.alerts()
        if alert.labels.get(MODEL) == asking.model or (alert.labels.get(MODEL) == ALL_MODELS and level(alert.labels) in _ORDER)
    ]
    for alert in sorted(concern, key=rank):
        labels, notes = alert.labels, alert.annotations
        yield Firing(
            name=labels.get("alertname", ""),
            severity=labels.get(names.SEVERITY, ""),
            level=level(labels),
            model=labels[MODEL],
            state=alert.state,
            since=alert.since,
            version=labels.get(VERSION, ""),
            feature=labels.get(FEATURE, ""),
            description=notes.get("description", ""),
            action=notes.get("action", ""),
            runbook=notes.get("runbook_url", ""),
            dashboard=notes.get("dashboard_url", ""),
            muted=muted(labels),
        )


def _moved(asking: Asking, top: int, baseline: Baseline | None) -> Iterator[Moved]:
    """Every score of the model, the features that moved most first, at most `top` of them."""
    shares = {word: asking.scores(metric) for word, metric in _SHARES}
    samples = _limits(asking, names.WINDOW_SAMPLES, equal(WINDOW, asking.window))
    limits = _limits(asking, names.THRESHOLD)
    verdicts = asking.scores(names.FEATURE_DRIFTED)
    for score in SCORES:
        floors = asking.scores(score.floor)
        found = sorted(asking.scores(score.metric).items(), key=lambda item: item[1] / (floors.get(item[0]) or 1.0), reverse=True)
        told = found[:top] if score.metric is names.FEATURE_PSI else found
        past = asking.past_scores(score.metric) if told else {}
        for key, value in told:
            version, feature = key
            limit, floor = limits.get((version, score.limit or "")), floors.get(key)
            bound = max(limit or 0.0, floor or 0.0)
            yield Moved(
                what=f"{score.what} {feature}".strip(),
                version=version,
                value=value,
                limit=limit,
                floor=floor,
                samples=samples.get((version, score.samples)),
                since=_since(past.get(key, []), bound) if value > bound else None,
                real=verdicts[key] == 1 if feature and key in verdicts else value > bound and floor is not None,
                notes=[*_shares(shares, key), *_of_baseline(baseline, version, feature)],
            )


def _limits(asking: Asking, metric: Metric, *matchers: str) -> dict[tuple[str, str], float]:
    """Thresholds or samples by version and signal."""
    inside = ", ".join((asking.matcher, *matchers))
    found = asking.server.vector(f"max by ({VERSION}, {SIGNAL}) ({metric.prometheus}{{{inside}}})")
    return {(sample.labels.get(VERSION, ""), sample.labels.get(SIGNAL, "")): sample.value for sample in found}


def _since(points: Iterable[tuple[float, float]], bound: float) -> float | None:
    """When the present run over a bound began; None where it began before the first point.

    >>> _since([(0, 1.0), (10, 3.0), (20, 1.0), (30, 4.0), (40, 5.0)], 2.0)
    30
    """
    since, below = None, False
    for at, value in points:
        if value <= bound:
            since, below = None, True
        elif since is None:
            since = at
    return since if below else None


def _shares(shares: Mapping[str, Mapping[tuple[str, str], float]], key: tuple[str, str]) -> Iterator[str]:
    for word, values in shares.items():
        if values.get(key, 0.0) >= 0.001:
            yield f"{values[key]:.1%} {word}"


def _of_baseline(baseline: Baseline | None, version: str, feature: str) -> Iterator[str]:
    """What the baseline says of a feature: how much the model uses it, and how its rows hang together."""
    found = [each for each in baseline.features if each.name == feature] if baseline and baseline.version == version else []
    for each in found:
        if each.importance is not None:
            yield f"importance {each.importance:.1%}"
        if each.design_effect > 1:
            yield f"design effect {each.design_effect:.1f}, included in the noise floor"


def _key(labels: Labels) -> tuple[str, str]:
    return labels.get(VERSION, ""), labels.get(FEATURE, "")
