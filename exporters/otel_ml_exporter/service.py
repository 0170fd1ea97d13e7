"""The rhythm of the exporter: read counts, evaluate each model, publish, and say how that went."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from otel_ml import catalogue as names
from otel_ml.errors import OtelMLError
from otel_ml_exporter.baselines import BaselineFiles, Loaded, Watched
from otel_ml_exporter.collector import ReadingsCollector
from otel_ml_exporter.config import Config, PrometheusSettings, Window
from otel_ml_exporter.counts import ModelCounts, Roles, Source, SourceError
from otel_ml_exporter.database import Database, StoreError
from otel_ml_exporter.evaluate import Evaluation, Labelled, Reading, describe, evaluate, evaluate_outcomes, judge_of, total_readings
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import Judge
from otel_ml_exporter.outcomes.totals import PairTotals
from otel_ml_exporter.references import stable_counts
from otel_ml_exporter.rows.watch import SampledRows
from otel_ml_exporter.sources.otlp import OtlpSource
from otel_ml_exporter.sources.prometheus import PrometheusSource
from otel_ml_exporter.sources.ring import Ring
from otel_ml_exporter.thresholds import OUTCOMES, PERFORMANCE

_log = logging.getLogger(__name__)
_Counts = Mapping[Window, Sequence[ModelCounts]]


@dataclass(frozen=True)
class ModelReport:
    """A model and how it did in each window; none where the source gave no counts."""

    watched: Watched
    windows: Mapping[Window, Evaluation]


@dataclass(frozen=True)
class Report:
    """What one evaluation came to; `missing` are unusable baseline files, `problem` says why the source gave no counts."""

    at: float
    models: tuple[ModelReport, ...]
    missing: Mapping[str, str]
    problem: str | None


class Exporter:
    """All parts of the exporter, made from its configuration; `close` it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.collector = ReadingsCollector()
        self.report: Report | None = None
        self.baselines = BaselineFiles(config.models, config.directory)
        self.database = Database(config.store)
        self.outcomes = OutcomeStore(self.database)
        self.rows = SampledRows(config.rows, config.windows)
        self._totals = PairTotals(self.database)
        self.otlp: OtlpSource | None = None
        self._source: Source
        if isinstance(config.source, PrometheusSettings):
            self._source = PrometheusSource(config.source, segments=names.REFERENCE_REST in config.references)
        else:
            ring = Ring(self.database, config.windows[-1].seconds + (config.previous or 0.0))
            self._source = self.otlp = OtlpSource(ring, max_streams=config.source.max_streams, retention=config.retention)
        self._errors = 0
        self._said: dict[str, str | None] = {}

    def close(self) -> None:
        """Save what is not saved yet, and let go of the source and the store."""
        try:
            self._source.close()
        except StoreError as error:
            _log.error("the last counts are not saved: %s", error)
        self.database.close()

    def run(self, stop: threading.Event) -> None:
        """Evaluate at once and then each interval, until `stop` is set."""
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            self._tick_safely()
            due = max(due + self.config.interval, time.monotonic())

    def _tick_safely(self) -> None:
        try:
            self.tick(time.time())
        except Exception:  # noqa: BLE001 - the rhythm outlives a fault of ours: logged, counted, and the scores are absent
            self._errors += 1
            _log.exception("the evaluation failed")
            self.collector.publish(self._own_readings(Loaded((), {}), "the evaluation failed", 0.0))

    def tick(self, at: float) -> Report:
        """One evaluation at the Unix time `at`, published; what fails is counted and left out."""
        started = time.perf_counter()
        loaded = self.baselines.load()
        self.rows.watch(loaded.watched)
        counts, problem = self._counts(at)
        previous = self._previous_counts(at) if problem is None and self.config.previous is not None else {}
        roles = self._roles(at) if problem is None and names.REFERENCE_STABLE in self.config.references else {}
        models = tuple(self._model(watched, counts, previous, loaded.watched, roles) for watched in loaded.watched)
        self._count_pairs(loaded.watched)
        readings = [reading for model in models for reading in self._model_readings(model, at)]
        self._prune(at)
        readings += self._own_readings(loaded, problem, time.perf_counter() - started)
        self.collector.publish(readings)
        self.report = Report(at, models, loaded.missing, problem)
        return self.report

    def _counts(self, at: float) -> tuple[_Counts, str | None]:
        try:
            counts = self._source.read(self.config.windows, at)
        except SourceError as error:
            self._failed("source", error)
            return {}, str(error)
        self._say("source", None)
        return counts, None

    def _previous_counts(self, at: float) -> _Counts:
        """The counts of the same windows some time ago; none, and no harm to the other scores, where the source fails."""
        try:
            counts = self._source.earlier(self.config.windows, at - (self.config.previous or 0.0))
        except SourceError as error:
            self._failed("previous windows", error)
            return {}
        self._say("previous windows", None)
        return counts

    def _roles(self, at: float) -> Roles:
        """Who is stable and who is not; nobody, and no harm to the other scores, where the source fails."""
        try:
            roles = self._source.roles(at)
        except SourceError as error:
            self._failed("roles", error)
            return {}
        self._say("roles", None)
        return roles

    def _model(self, watched: Watched, counts: _Counts, previous: _Counts, others: Sequence[Watched], roles: Roles) -> ModelReport:
        windows = {}
        for window in counts:
            own, earlier = (
                [entry for entry in of_source.get(window, ()) if (entry.model, entry.version) == watched.key]
                for of_source in (counts, previous)
            )
            windows[window] = evaluate(
                watched.baseline,
                own,
                window.label,
                watched.limits,
                previous=earlier,
                stable=stable_counts(watched, others, counts[window], roles),
                rest=names.REFERENCE_REST in self.config.references,
            )
            self._say(f"{_shown(watched)}, window {window.label}", "; ".join(windows[window].problems) or None)
        return ModelReport(watched, windows)

    def _count_pairs(self, models: Sequence[Watched]) -> None:
        """Bring the totals of joined pairs up to date."""
        judges = {
            (*watched.key, watched.baseline.fingerprint): judge_of(watched.baseline) if watched.limits.wants(OUTCOMES) else None
            for watched in models
        }
        try:
            self._totals.update(judges)
        except StoreError as error:
            self._failed("totals of outcomes", error)
        else:
            self._say("totals of outcomes", None)

    def _model_readings(self, model: ModelReport, at: float) -> Iterator[Reading]:
        yield from describe(model.watched.baseline, model.watched.limits)
        yield from self._outcome_readings(model.watched, at)
        yield from self.rows.readings(model.watched, at)
        for evaluation in model.windows.values():
            yield from evaluation.readings
        if model.windows:
            yield self._mismatch(model)

    def _outcome_readings(self, watched: Watched, at: float) -> Iterator[Reading]:
        """Readings that need labels; none for a model without predictions, and none while the store fails."""
        baseline, judge = watched.baseline, judge_of(watched.baseline)
        if baseline.task is None:
            return
        try:
            if watched.limits.wants(OUTCOMES):
                last = self.outcomes.last_outcome(*watched.key)
                if last is not None:
                    yield Reading(names.OUTCOME_LAST_TIMESTAMP, watched.key, last)
                if judge is not None:
                    totals = self._totals.read((*watched.key, baseline.fingerprint), len(judge.edges) + 1)
                    yield from total_readings(baseline, judge, totals)
            for window in self.config.windows:
                known = self._labelled(watched, judge, at - window.seconds, at)
                yield from evaluate_outcomes(baseline, known, window.label, watched.limits)
            self._say("outcomes", None)
        except OtelMLError as error:
            self._failed("outcomes", error)

    def _labelled(self, watched: Watched, judge: Judge | None, since: float, until: float) -> Labelled:
        """What the store knows of a window, as far as somebody wants it."""
        store, baseline, wants = self.outcomes, watched.baseline, watched.limits.wants
        span = (since, until)
        performance, outcomes = wants(PERFORMANCE), wants(OUTCOMES)
        return Labelled(
            joined=None if judge is None else store.joined(*watched.key, judge, *span),
            confusion=store.confusion(*watched.key, baseline.classes, *span) if performance and baseline.classes else None,
            errors=store.errors(*watched.key, *span) if performance and baseline.task == "regression" else None,
            coverage=store.coverage(*watched.key, *span) if outcomes else None,
            delays=store.delays(*watched.key, *span) if outcomes else {},
        )

    def _mismatch(self, model: ModelReport) -> Reading:
        """Whether the shortest window that has counts of the model has some that were made for another baseline."""
        watched, evaluations = model.watched, [model.windows[window] for window in self.config.windows]
        strangers = next((entry.strangers for entry in evaluations if entry.strangers or entry.samples), ())
        said = f"counts are of baseline {', '.join(strangers) or 'none'}, {watched.file} is {watched.baseline.fingerprint}"
        self._say(_shown(watched), f"{said}; give server and exporter the same file" if strangers else None)
        return Reading(names.EXPORTER_BASELINE_MISMATCHES, watched.key, float(bool(strangers)))

    def _prune(self, at: float) -> None:
        try:
            pruned = self.outcomes.prune(at - self.config.retention)
        except StoreError as error:
            self._failed("retention", error)
        else:
            self._say("retention", None)
            if pruned:
                _log.info("deleted %d predictions and outcomes older than %.0f s", pruned, self.config.retention)

    def _own_readings(self, loaded: Loaded, problem: str | None, seconds: float) -> Iterator[Reading]:
        yield Reading(names.EXPORTER_SOURCE_UP, (self._source.name,), float(problem is None))
        yield Reading(names.EXPORTER_LAST_EVALUATION, (), time.time())
        yield Reading(names.EXPORTER_EVALUATION_DURATION, (), seconds)
        yield Reading(names.EXPORTER_EVALUATION_ERRORS, (), self._errors)
        for watched in loaded.watched:
            yield Reading(names.EXPORTER_BASELINE_MISSING, (watched.file,), 0.0)
        for file in loaded.missing:
            yield Reading(names.EXPORTER_BASELINE_MISSING, (file,), 1.0)
        if self.otlp is not None:
            for reason, dropped in self.otlp.dropped.items():
                yield Reading(names.EXPORTER_POINTS_DROPPED, (reason,), dropped)

    def _failed(self, place: str, error: OtelMLError) -> None:
        self._errors += 1
        self._say(place, str(error))

    def _say(self, place: str, problem: str | None) -> None:
        """Log a problem when it comes and when it goes, not each time in between."""
        before = self._said.get(place)
        self._said[place] = problem
        if problem is not None and problem != before:
            _log.warning("%s: %s", place, problem)
        elif problem is None and before is not None:
            _log.info("%s: well again", place)


def _shown(watched: Watched) -> str:
    return f"model {watched.baseline.model} {watched.baseline.version}"
