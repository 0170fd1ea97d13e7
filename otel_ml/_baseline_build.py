"""From held-out data to a baseline: a sample gives the bins, all rows are counted into them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from otel_ml._baseline_blocks import Effect, Replay, replay_key, replay_time
from otel_ml._baseline_checks import Options, Rows, check_tasks, complete, data_faults, kinds_of, understand
from otel_ml._baseline_derive import features_of
from otel_ml._baseline_features import NumberTally, feature_tally
from otel_ml._baseline_importance import normalised, permutation_importance
from otel_ml._baseline_outliers import OutlierTally
from otel_ml._baseline_outputs import OutputTally, classes_of, strange_labels
from otel_ml._derive import Derivation, times
from otel_ml._frames import joined, picked
from otel_ml._golden import golden_of
from otel_ml._heads import heads
from otel_ml._logits import probabilities, table_of
from otel_ml._outputs import TASKS, Task, infer_task, listed
from otel_ml._rules import rule_faults, rules_of
from otel_ml._values import label_of
from otel_ml.baseline import Baseline, Batch, Feature, Golden, Output, Rules, Source
from otel_ml.errors import BaselineError, Fault

_PREDICTION = ""
"""The name of the prediction where those of features stand: no feature is called so."""


def build(
    batch: Batch,
    options: Options,
    predict: Callable[[Any], Any] | None,
    *,
    golden: int = 0,
    transform: Callable[[Any], Any] | None = None,
) -> Baseline:
    """See `Baseline.from_data`."""
    rows = understand(batch, options)
    tally = Tally(rows, options, len(rows))
    if predict is not None and not options.importance:
        tally.ask(predict, batch.data, rows)
    tally.add(rows)
    baseline = tally.baseline()
    return replace(baseline, golden=_golden(batch.data, rows, golden, transform))


def _golden(table: Any, rows: Rows, records: int, transform: Callable[[Any], Any] | None) -> Golden | None:
    """Some of the rows as they were in tables such as `table`; None where no `records` are asked for."""
    if not records:
        return None
    if rows.predictions is None:
        raise BaselineError("the data", [Fault("golden", "needs predictions", "give predictions=, what the model answers for these rows")])
    return golden_of(table, rows.columns, rows.predictions, records, transform)


def build_batches(
    read: Callable[[], Iterable[Batch]],
    options: Options,
    size: int,
    predict: Callable[[Any], Any] | None,
    *,
    golden: int = 0,
    transform: Callable[[Any], Any] | None = None,
) -> Baseline:
    """See `Baseline.from_batches`."""
    sample, total = sampled((complete(understand(batch, options)) for batch in _batches(read)), size)
    tally = Tally(sample, options, total)
    first = next(_batches(read)) if golden or predict is not None else Batch(None)
    if predict is not None and not options.importance:
        tally.ask(predict, first.data, understand(first, options))
    records = _golden(first.data, sample, golden, transform)
    if total <= size:
        tally.add(sample)
    else:
        del sample
        for batch in _batches(read):
            tally.add(complete(understand(batch, options)))
    return replace(tally.baseline(), golden=records)


def _batches(read: Callable[[], Iterable[Batch]]) -> Iterator[Batch]:
    """One pass over the batches; raises `BaselineError` where there are none, as when a generator was spent in the pass before."""
    found: Any = read()
    empty = True
    for batch in found if isinstance(found, Iterable) else [found]:
        if not isinstance(batch, Batch):
            mend = "give otel_ml.baseline.Batch(data, ...) for each part of the data"
            raise BaselineError("the data", [Fault("read", f"gives {type(batch).__name__}", mend)])
        empty = False
        yield batch
    if empty:
        mend = "give the same ones at each call, as a generator function does"
        raise BaselineError("the data", [Fault("read", "gives no batches", mend)])


def sampled(batches: Iterator[Rows], size: int) -> tuple[Rows, int]:
    """A random sample of `size` rows, in their order, and the number of all rows.

    Each row draws a number; those with the smallest stay. So all rows stay where there are no more than `size`.
    """
    random, kept, total, bound = np.random.default_rng(0), [], 0, 1.0
    for rows in batches:
        total += len(rows)
        draws = random.random(len(rows))
        kept.append(_below(bound, draws, rows))
        if sum(len(draws) for draws, _ in kept) > 1.25 * size:
            bound = _smallest(kept, size)
            kept = [_below(bound, *part) for part in kept]
    if total > size:
        bound = _smallest(kept, size)
        kept = [_below(bound, *part) for part in kept]
    return _joined([rows for _, rows in kept]), total


def _smallest(kept: Sequence[tuple[Any, Rows]], size: int) -> float:
    draws = np.concatenate([draws for draws, _ in kept])
    return float(np.partition(draws, size)[size]) if len(draws) > size else 1.0


def _below(bound: float, draws: Any, rows: Rows) -> tuple[Any, Rows]:
    chosen = np.flatnonzero(draws < bound)
    return (draws, rows) if len(chosen) == len(draws) else (draws[chosen], rows.map(lambda part: picked(part, chosen)))


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    columns = {name: joined([part.columns[name] for part in parts]) for name in parts[0].columns}
    predictions, labels = (
        None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("predictions", "labels")
    )
    time, key = (None if getattr(parts[0], name) is None else joined([getattr(part, name) for part in parts]) for name in ("time", "key"))
    further = {name: _joined([part.further[name] for part in parts]) for name in parts[0].further}
    return Rows(columns, predictions, labels, time, key, parts[0].output, further)


class Tally:
    """What rows add up to, in the bins that a sample of them gives. Raises `BaselineError` for a sample that gives none."""

    def __init__(self, sample: Rows, options: Options, total: int) -> None:
        check_tasks(sample, options)
        further = {name: (rows, options.of_output(name, first=False)) for name, rows in sample.further.items()}
        options = self._options = options.of_output(sample.output, first=True)
        self.task, self.classes = _outputs_of(sample, options)
        self.importance = normalised(options.importance)
        self._samples = 0
        kinds = kinds_of(options)
        self._sources = features_of(sample.columns, kinds, _moments(sample))
        self._sources = {name: _kept(source, options.like_feature(name)) for name, source in self._sources.items()}
        self._derive = Derivation(self._sources.items())
        columns = self._columns(sample)
        self._features = {
            name: feature_tally(name, column, code=kinds.get(name) == "categorical", bins=options.bins, like=options.like_feature(name))
            for name, column in columns.items()
        }
        numbers = [name for name, tally in self._features.items() if isinstance(tally, NumberTally)]
        self._outliers = OutlierTally({name: columns[name] for name in numbers})
        self._outputs = _told(lambda: self._output_tally(sample.predictions))
        self._names = (sample.output, *further) if sample.output else ()
        self._further = {name: _Further(name, *given) for name, given in further.items()}
        bins = {name: tally.bins for name, tally in self._features.items()}
        if self._outputs is not None:
            bins[_PREDICTION] = self._outputs.bins
        bins |= {tally.key: tally.counts.bins for tally in self._further.values()}
        self._rules = self._declared()
        self._by_time = None if sample.time is None else replay_time(sample.time, total, bins)
        self._by_key = None if sample.key is None else replay_key(bins)

    def _output_tally(self, predictions: Any) -> OutputTally | None:
        if predictions is None or self.task is None:
            return None
        options = self._options
        like = None if options.like is None else options.like.prediction
        return OutputTally(
            predictions,
            task=self.task,
            classes=self.classes,
            threshold=options.threshold,
            bins=options.bins,
            like=like,
            measure=options.measure,
            logits=options.logits,
        )

    def ask(self, predict: Callable[[Any], Any], data: Any, rows: Rows) -> None:
        """Ask the model itself for the importance of each column, with rows in the form that it knows."""
        options = self._options
        names = self._names
        found = permutation_importance(
            predict if not names else lambda table: heads(predict(table), names)[0],
            data,
            list(rows.columns),
            rows.labels,
            task=self.task,
            classes=self.classes,
            threshold=options.threshold,
            logits=options.logits,
        )
        self.importance = normalised(found)

    def add(self, rows: Rows) -> None:
        """Count rows."""
        self._samples += len(rows)
        keys = None if self._by_key is None else self._by_key.place(rows.key)
        columns = self._columns(rows)
        for name, tally in self._features.items():
            tally.add(columns[name], keys)
        self._outliers.add(columns)
        outputs = self._outputs
        if outputs is not None:
            _told(lambda: outputs.add(rows.predictions, rows.labels))
        for name, further in self._further.items():
            further.add(rows.further[name])
        if self._by_time is not None:
            self._replay(self._by_time, self._by_time.place(rows.time), columns, rows)
        if self._by_key is not None:
            self._replay(self._by_key, keys, columns, rows)

    def _columns(self, rows: Rows) -> Mapping[str, Any]:
        """The columns of features."""
        if not self._derive.any:
            return rows.columns
        made = self._derive([rows.columns[name] for name in self._derive.columns], _moments(rows))
        return dict(zip(self._sources, made, strict=True))

    def _importance(self) -> dict[str, float]:
        """That of a column is shared by the features that are made from it."""
        origin = {name: name if source is None else source.column for name, source in self._sources.items()}
        shares = Counter(origin.values())
        return {name: self.importance[column] / shares[column] for name, column in origin.items() if column in self.importance}

    def _declared(self) -> dict[str, Rules]:
        """What is declared, by the first feature of each column; raises `BaselineError` where it does not go with it."""
        first: dict[str, str] = {}
        for name, source in self._sources.items():
            first.setdefault(name if source is None else source.column, name)
        found = {column: rules for column, declared in self._options.schema.items() if (rules := rules_of(declared)) is not None}
        faults = [
            fault
            for column, rules in found.items()
            for fault in rule_faults(
                column, rules, replace(self._features[first[column]].feature(None), source=self._sources[first[column]])
            )
        ]
        if faults:
            raise BaselineError("the data", faults)
        return {first[column]: rules for column, rules in found.items()}

    def _replay(self, replay: Replay, blocks: Any, columns: Mapping[str, Any], rows: Rows) -> None:
        for name, tally in self._features.items():
            replay.add(name, blocks, tally.positions(columns[name]))
        if self._outputs is not None:
            replay.add(_PREDICTION, blocks, self._outputs.positions(rows.predictions))
        for name, further in self._further.items():
            replay.add(further.key, blocks, further.counts.positions(rows.further[name].predictions))

    def baseline(self) -> Baseline:
        """What was counted; of two design effects the greater."""
        by_time = {} if self._by_time is None else self._by_time.effects()
        by_key = {} if self._by_key is None else self._by_key.effects()

        def noise(name: str, prefix: str = "") -> dict[str, Any]:
            time, key = by_time.get(name, Effect()), by_key.get(name, Effect())
            larger = max(time, key, key=lambda effect: effect.size)
            return {f"{prefix}design_effect": larger.size, f"{prefix}noise_degrees": larger.degrees, f"{prefix}key_effect": key.size}

        weights, rules = self._importance(), self._rules
        features = [
            replace(
                tally.feature(weights.get(name)),
                **noise(name),
                spell_rows=by_time.get(name, Effect()).spell,
                source=self._sources[name],
                rules=rules.get(name),
            )
            for name, tally in self._features.items()
        ]
        baseline = Baseline(
            model=str(self._options.model),
            version=str(self._options.version),
            task=self.task,
            created=dt.datetime.now(dt.timezone.utc).replace(microsecond=0),
            samples=self._samples,
            features=tuple(features),
            classes=self.classes,
            threshold=self._options.threshold,
            outliers=self._outliers.outliers(),
            output=self._names[0] if self._names else "",
            outputs=tuple(further.output(noise(further.key)) for further in self._further.values()),
            **noise(_PREDICTION, "prediction_"),
        )
        outputs = self._outputs
        fields: Mapping[str, Any] = {} if outputs is None else _told(outputs.fields)
        return replace(baseline, **fields)


class _Further:
    """The tally of an output beside the first; `key` is its name where those of features stand."""

    def __init__(self, name: str, sample: Rows, options: Options) -> None:
        task, self.classes = _outputs_of(sample, options)
        assert task is not None
        self.name, self.task, self.key = name, task, f"\0{name}"
        self.counts = _told(
            lambda: OutputTally(sample.predictions, task=task, classes=self.classes, threshold=options.threshold, bins=options.bins)
        )

    def add(self, rows: Rows) -> None:
        _told(lambda: self.counts.add(rows.predictions, None))

    def output(self, noise: Mapping[str, Any]) -> Output:
        return Output(self.name, self.task, self.counts.fields()["prediction"], self.classes, **noise)


def _kept(source: Source | None, like: Feature | None) -> Source | None:
    """How the other baseline makes the same feature, where it does: of the same column, with axes of the same length."""
    old = None if like is None else like.source
    if source is None or old is None or (old.column, old.how, len(old.axis)) != (source.column, source.how, len(source.axis)):
        return source
    return old


def _moments(rows: Rows) -> Any:
    """When each row was, in seconds since 1970; None where that is not known, or no time of the calendar."""
    if rows.time is None:
        return None
    seconds, strange = times(rows.time)
    return None if strange.any() else seconds


def _outputs_of(sample: Rows, options: Options) -> tuple[Task | None, tuple[str, ...]]:
    """The task and the classes, given or inferred; every fault of the data is found before any is raised."""
    faults = data_faults(sample, options)
    assert not isinstance(options.task, Mapping)
    task, predictions, classes = options.task, sample.predictions, options.classes
    table = table_of(predictions, task) if options.logits and predictions is not None else None
    if table is not None:
        predictions = probabilities(table)
    if predictions is not None and task is None and not faults:
        task = infer_task(predictions, sample.labels)
        if task is None:
            faults.append(Fault("task", "cannot be told from the predictions", f"give task= one of {', '.join(TASKS)}, or say logits=True"))
    if faults:
        raise BaselineError("the data", faults)
    strangers = None if classes is not None else strange_labels(task, predictions, sample.labels)
    if strangers is not None:
        raise BaselineError("the data", [strangers])
    named = tuple(map(label_of, classes)) if classes is not None else classes_of(task, predictions, sample.labels)
    if classes is None and options.like is not None and set(named) == set(options.like.classes):
        named = options.like.classes
    if task == "binary" and predictions is not None and len(named) != 2:
        mend = "give task='multiclass', or classes= with the negative and the positive one"
        raise BaselineError("the data", [Fault("classes", f"are {listed(named) or 'none'} where a binary model has two", mend)])
    return task, named


def _told(compute: Callable[[], Any]) -> Any:
    """What `compute` gives; predictions that it cannot understand are a fault of the data."""
    try:
        return compute()
    except ValueError as error:
        if isinstance(error, BaselineError):
            raise
        raise BaselineError("the data", [Fault("predictions", str(error), "give classes= in the order of the columns")]) from error
