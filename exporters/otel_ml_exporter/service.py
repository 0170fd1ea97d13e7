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
from otel_ml_exporter.evaluate import (
    Evaluation,
    Labelled,
    Reading,
    agreement_readings,
    describe,
    evaluate,
    evaluate_outcomes,
    labelled,
    layout_of,
    total_readings,
)
from otel_ml_exporter.outcomes import cells, readout
from otel_ml_exporter.outcomes.intake import Intake
from otel_ml_exporter.outcomes.ledger import Known
from otel_ml_exporter.outcomes.store import SLOT, OutcomeStore
from otel_ml_exporter.references import stable_counts
from otel_ml_exporter.rows.watch import SampledRows
from otel_ml_exporter.sources.otlp import OtlpSource
from otel_ml_exporter.sources.prometheus import PrometheusSource
from otel_ml_exporter.sources.ring import Ring
from otel_ml_exporter.thresholds import CALIBRATION, OUTCOMES

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
        self.outcomes = OutcomeStore(self.database, width=_slot(config.windows[0]))
        self.outcomes.known = _known(self.baselines.load())
        self.rows = SampledRows(config.rows, config.windows)
        self.intake = Intake(self.outcomes, config.limits)
        self.otlp: OtlpSource | None = None
        self._source: Source
        if isinstance(config.source, PrometheusSettings):
            self._source = PrometheusSource(config.source, segments=names.REFERENCE_REST in config.references)
        else:
            ring = Ring(self.database, config.windows[-1].seconds + (config.previous or 0.0))
            self._source = self.otlp = OtlpSource(ring, max_streams=config.source.max_streams, retention=config.retention)
        self._described: dict[str, tuple[Watched, tuple[Reading, ...]]] = {}
        self._errors = 0
        self._said: dict[str, str | None] = {}

    def close(self) -> None:
        """Save what is not saved yet, and let go of the source and the store."""
        self.intake.close()
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
        roles = self._roles(at) if problem is None else None
        models = tuple(self._model(watched, counts, previous, loaded.watched, roles or {}) for watched in loaded.watched)
        self.outcomes.known = _known(loaded)
        readings = [reading for model in models for reading in self._model_readings(model, at)]
        readings += [self._mismatch(watched, roles) for watched in loaded.watched if roles is not None]
        readings += self._intake_readings(at)
        self._audit()
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

    def _roles(self, at: float) -> Roles | None:
        """Who is being served, and as what; not known, and no harm to the other scores, where the source fails."""
        try:
            roles = self._source.roles(at)
        except SourceError as error:
            self._failed("roles", error)
            return None
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
                stable=stable_counts(watched, others, counts[window], roles) if names.REFERENCE_STABLE in self.config.references else None,
                rest=names.REFERENCE_REST in self.config.references,
            )
            self._say(f"{_shown(watched)}, window {window.label}", "; ".join(windows[window].problems) or None)
        return ModelReport(watched, windows)

    def _model_readings(self, model: ModelReport, at: float) -> Iterator[Reading]:
        yield from self._description(model.watched)
        yield from self._outcome_readings(model.watched, at)
        yield from self.rows.readings(model.watched, at)
        for evaluation in model.windows.values():
            yield from evaluation.readings

    def _description(self, watched: Watched) -> tuple[Reading, ...]:
        """The baseline and the limits as series; made once for each, because they are most of all series."""
        known = self._described.get(watched.file)
        if known is None or known[0].baseline is not watched.baseline or known[0].limits is not watched.limits:
            known = self._described[watched.file] = watched, describe(watched.baseline, watched.limits)
        return known[1]

    def _outcome_readings(self, watched: Watched, at: float) -> Iterator[Reading]:
        """Readings that need labels; none for a model without predictions, and none while the store fails."""
        baseline = watched.baseline
        if baseline.task is None:
            return
        try:
            if watched.limits.wants(OUTCOMES):
                last = self.outcomes.last_outcome(*watched.key)
                if last is not None:
                    yield Reading(names.OUTCOME_LAST_TIMESTAMP, watched.key, last)
                yield from total_readings(baseline, self.outcomes.totals(*watched.key))
            for window in self.config.windows:
                known = self._labelled(watched, window, at)
                yield from evaluate_outcomes(baseline, known, window.label, watched.limits)
            self._say("outcomes", None)
        except OtelMLError as error:
            self._failed("outcomes", error)

    def _labelled(self, watched: Watched, window: Window, at: float) -> Labelled:
        """What is known of a window; predictions are judged that were made a label delay ago, when their labels should be there."""
        span, due = (at - window.seconds, at), at - watched.limits.label_delay
        arrived = self.outcomes.window(*watched.key, cells.ARRIVAL, *span)
        cohort = self.outcomes.window(*watched.key, cells.COHORT, due - window.seconds, due)
        newest = self.outcomes.newest_pairs(*watched.key, *span) if watched.limits.wants(CALIBRATION) and arrived else ()
        return labelled(watched.baseline, arrived, cohort, newest)

    def _intake_readings(self, at: float) -> Iterator[Reading]:
        """What came in, what of it waits, and what was refused."""
        for metric, results in (
            (names.OUTCOME_RECEIVED, self.intake.outcome_results()),
            (names.PREDICTION_RECEIVED, self.intake.prediction_results()),
        ):
            for labels, rows in results.items():
                yield Reading(metric, labels, rows)
        for reason, refused in self.intake.refusals().items():
            yield Reading(names.EXPORTER_REQUESTS_REFUSED, (reason,), refused)
        yield Reading(names.EXPORTER_STORE_ROWS, (), self.outcomes.rows)
        yield Reading(names.EXPORTER_STORE_LIMIT, (), self.config.limits.stored)
        try:
            for model in sorted(self.outcomes.known.models):
                for window in self.config.windows:
                    found = self.outcomes.window(model, "", cells.ARRIVAL, at - window.seconds, at)
                    yield Reading(names.OUTCOME_UNMATCHED, (model, window.label), readout.count(found, cells.WAITING))
                    trusted = self.outcomes.known.trusted.get(model, frozenset())
                    yield from agreement_readings(model, found, window.label, trusted, self.config.models[0].limits.minimum_outcomes)
        except StoreError as error:
            self._failed("unmatched outcomes", error)

    def _mismatch(self, watched: Watched, roles: Roles) -> Reading:
        """Whether the version is being served with another baseline; what it counted before with another is no fault any more."""
        ours = watched.baseline.fingerprint
        strangers = sorted(served for *key, served in roles if tuple(key) == watched.key and served not in ("", ours))
        said = f"is served with baseline {', '.join(strangers)}, {watched.file} is {ours}"
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

    def _audit(self) -> None:
        """Say who wrote labels since the last evaluation; the cells of the store keep it by the minute."""
        for (writer, model), rows in sorted(self.intake.written().items()):
            _log.info("audit: token %s wrote %d labels of model %s", writer, rows, model)

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


def _slot(shortest: Window) -> int:
    """The seconds that a cell covers: so few that the shortest window is not much longer than its name."""
    return max(1, min(SLOT, int(shortest.seconds / SLOT)))


def _known(loaded: Loaded) -> Known:
    trusted: dict[str, frozenset[str]] = {}
    for watched in loaded.watched:
        trusted[watched.key[0]] = trusted.get(watched.key[0], frozenset()) | watched.limits.trusted
    return Known({watched.key: layout_of(watched.baseline) for watched in loaded.watched}, trusted)


def _shown(watched: Watched) -> str:
    return f"model {watched.baseline.model} {watched.baseline.version}"
