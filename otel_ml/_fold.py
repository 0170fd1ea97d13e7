"""From captured rows and predictions to counts: the only place where values meet bins."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml._arrays import dense_parts
from otel_ml._binning import VOCABULARY, count_intervals, tally
from otel_ml._capture import Captured
from otel_ml._derive import Derivation
from otel_ml._layout import Layout
from otel_ml._numeric import CHUNK, Block, Numeric
from otel_ml._outputs import BOOLEAN_TWINS, Outputs, are_probabilities, as_array, interpret
from otel_ml._reading import Kept
from otel_ml._rules import is_default_text
from otel_ml._runs import Runs
from otel_ml._segment import Place
from otel_ml._values import ABSENT, Absent, as_numbers
from otel_ml.baseline import Feature

Counts = npt.NDArray[np.int64]

_PLAIN = frozenset({int, float, bool, type(None), np.float64, np.float32, np.int64, np.int32, np.bool_})


class Fold:
    """Counts the rows and predictions of one model into an array of its layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._baseline = layout.baseline
        features = self._baseline.features if self._baseline is not None else ()
        self._heads = self._baseline.output_names if self._baseline is not None else ()
        self._derive = Derivation((feature.name, feature.source) for feature in features)
        self._numeric = [(position, feature) for position, feature in enumerate(features) if feature.type == "numeric"]
        self._categorical = [
            (position, _Categories(feature, layout)) for position, feature in enumerate(features) if feature.type == "categorical"
        ]
        self._numbers = Numeric(layout, [feature for _, feature in self._numeric])
        positions = [position for position, _ in self._numeric]
        self._columns = slice(None) if len(positions) == len(features) else positions
        self._texts = [
            (self._derive.columns.index(feature.source.column), re.compile(feature.rules.pattern), layout.violation_start[feature.name])
            for feature in features
            if feature.source is not None and feature.rules is not None and feature.rules.pattern is not None
        ]
        watched = [feature for _, feature in self._numeric] + [categories.feature for _, categories in self._categorical]
        self._runs = Runs([layout.violation_start[feature.name] for feature in watched], watched)

    def inputs(self, captured: Iterable[Captured]) -> Counts:
        """The counts of these inputs: rows, bins, violations and outliers."""
        counts = np.zeros(self._layout.size, dtype=np.int64)
        captured = list(captured)
        counts[0] = sum(item.size for item in captured)
        if self._baseline is None:
            return counts
        counts[self._layout.extra_column] = sum(item.extra for item in captured)
        for matrix, calls in self._matrices(captured):
            self._add_matrix(counts, matrix, calls)
        listed = [item for item in captured if item.rows]
        if listed:
            columns = list(zip(*(row for item in listed for row in item.rows or ()), strict=True))
            moments = [item.moment for item in listed for _ in range(item.size)]
            self._add_columns(counts, columns, len(moments), moments, len(listed))
        for item in captured:
            if item.columns is not None:
                self._add_columns(counts, [item.columns.get(name, ABSENT) for name in self._derive.columns], item.size, [item.moment], 1)
        return counts

    def _matrices(self, captured: Sequence[Captured]) -> Iterator[tuple[npt.NDArray[Any], float]]:
        """What are matrices, together with those of the same type, and in how many calls each came."""
        packed = [item.packed for item in captured if item.packed is not None]
        if packed:
            yield self._unpacked(b"".join(packed)), len(packed)
        matrices: dict[np.dtype[Any], list[npt.NDArray[Any]]] = {}
        for item in captured:
            if item.matrix is not None:
                matrices.setdefault(item.matrix.dtype, []).append(item.matrix)
            elif item.sparse is not None:
                yield from ((part, len(part) / item.size) for part in dense_parts(item.sparse))
        for group in matrices.values():
            yield group[0] if len(group) == 1 else np.concatenate(group), len(group)

    def _unpacked(self, rows: bytes) -> npt.NDArray[np.float64]:
        return np.frombuffer(rows).reshape(-1, len(self._derive.columns))

    def _add_matrix(self, counts: Counts, matrix: npt.NDArray[Any], calls: float) -> None:
        held = self._numbers.add(counts, (self._block_of(matrix[start : start + CHUNK]) for start in range(0, len(matrix), CHUNK)))
        others = [categories.add(counts, matrix[:, position].tolist()) for position, categories in self._categorical]
        self._runs.add(counts, held, others, calls)

    def distances(self, captured: Captured) -> npt.NDArray[np.float64] | None:
        """The squared Mahalanobis distance of each row from the baseline; None where either is unknown."""
        distances = self._numbers.distances
        if distances is None:
            return None
        if captured.sparse is not None:
            return np.concatenate([distances(part.T[self._columns]) for part in dense_parts(captured.sparse)])
        if captured.packed is not None:
            return distances(self._unpacked(captured.packed).T[self._columns])
        if captured.matrix is not None:
            return distances(captured.matrix.T[self._columns])
        if captured.rows is not None:
            listed: Sequence[Any] = list(zip(*captured.rows, strict=True))
        elif captured.columns is not None:
            listed = [captured.columns.get(name, ABSENT) for name in self._derive.columns]
        else:
            return None
        if self._derive.any:
            listed = self._derive(listed, np.array([captured.moment]))
        scratch = np.zeros(self._layout.size, dtype=np.int64)
        return distances(self._read(scratch, listed, captured.size)[0])

    def _block_of(self, matrix: npt.NDArray[Any]) -> Block:
        """A copy of a matrix, one line a numeric feature."""
        kind = np.float32 if matrix.dtype == np.float32 else np.float64
        with np.errstate(over="ignore"):  # a number wider than float64 is infinite
            return np.array(matrix.T[self._columns], dtype=kind, order="C")

    def _read(self, counts: Counts, columns: Sequence[Any], size: int) -> tuple[Block, npt.NDArray[np.bool_]]:
        """One row a numeric feature, and which came as float32; what is no number is counted as such."""
        numbers = np.full((len(self._numeric), size), np.nan)
        singles = np.zeros((len(self._numeric), 1), dtype=bool)
        for row, single, (position, feature) in zip(numbers, singles, self._numeric, strict=True):
            column = columns[position]
            kinds = set(map(type, column)) if isinstance(column, tuple) else None
            if kinds is None or not kinds <= _PLAIN:
                column, kinds = self._present(counts, feature, column, size), None
            if column is not None:
                found, strangers = _numbers_of(column, kinds)
                row[:], single[0] = found, found.dtype == np.float32
                if strangers:
                    self._add_strangers(counts, feature, strangers)
        return numbers, singles

    def _add_columns(self, counts: Counts, columns: Sequence[Any], size: int, moments: Sequence[float], calls: int) -> None:
        if self._derive.any:
            for position, pattern, places in self._texts:
                counts[places[names.VIOLATION_PATTERN]] += mismatches(pattern, columns[position])
            columns = self._derive(columns, np.array(moments))
        numbers, singles = self._read(counts, columns, size)
        held = self._numbers.add(counts, (numbers[:, start : start + CHUNK] for start in range(0, size, CHUNK)), singles)
        others = []
        for position, categories in self._categorical:
            column = self._present(counts, categories.feature, columns[position], size)
            values = [None] * size if column is None else column
            others.append(categories.add(counts, values.tolist() if isinstance(values, np.ndarray) else values))
        self._runs.add(counts, held, others, calls)

    def _present(self, counts: Counts, feature: Feature, column: Any, size: int) -> Any:
        """The column, with None where a row lacks it; None when every row does. What lacks is counted as such, not as missing."""
        if column is ABSENT:
            absent, column = size, None
        elif isinstance(column, tuple) and Absent in set(map(type, column)):
            absent = sum(value is ABSENT for value in column)
            column = [None if value is ABSENT else value for value in column]
        else:
            return column
        places = self._layout.violation_start[feature.name]
        counts[places[names.VIOLATION_MISSING_COLUMN]] += absent
        if names.VIOLATION_MISSING in places:
            counts[places[names.VIOLATION_MISSING]] -= absent
        return column

    def _add_strangers(self, counts: Counts, feature: Feature, strangers: int) -> None:
        """What is no number was counted as missing; it belongs to `__other__`."""
        end = self._layout.feature_start[feature.name] + len(feature.histogram.labels)
        counts[end - 2] -= strangers
        counts[end - 1] += strangers
        places = self._layout.violation_start[feature.name]
        counts[places[names.VIOLATION_TYPE_MISMATCH]] += strangers
        if names.VIOLATION_MISSING in places:
            counts[places[names.VIOLATION_MISSING]] -= strangers

    def predictions(self, predictions: Sequence[Any], segments: Sequence[Place]) -> Counts:
        """The counts of these predictions, each the raw result of one call, with the segments of its rows."""
        counts = np.zeros(self._layout.size, dtype=np.int64)
        if self._heads:
            predictions = self._further_counted(counts, predictions)
        chosen = self._by_segment(predictions, segments) if self._layout.segments else {0: predictions}
        for segment, group in chosen.items():
            for outputs in self._meanings(group):
                self._add_outputs(counts, outputs, segment)
        return counts

    def _by_segment(self, predictions: Sequence[Any], segments: Sequence[Place]) -> Mapping[int, Sequence[Any]]:
        """The predictions of each segment; a call's rows, where they are of several, are told apart."""
        chosen: defaultdict[int, list[Any]] = defaultdict(list)
        for prediction, segment in zip(predictions, segments, strict=True):
            if isinstance(segment, int):
                chosen[segment].append(prediction)
                continue
            rows = as_array(prediction)
            if len(rows) != len(segment):
                raise ValueError(f"{len(segment)} segments for {len(rows)} predictions; segment= gives one value, or one for each row")
            for each in np.unique(segment).tolist():
                chosen[each].append(rows[segment == each])
        return chosen

    def understand(self, prediction: Kept) -> Outputs:
        """The meaning of one call's prediction, of the first output where there are several; nothing where the baseline explains none."""
        first = prediction[0] if isinstance(prediction, tuple) else prediction
        return self._meaning(np.array([first]) if type(first) is float else first)

    def _further_counted(self, counts: Counts, predictions: Sequence[Any]) -> Sequence[Any]:
        """Those of the first output; the others are counted. Each prediction is a tuple with a part for each output."""
        assert self._baseline is not None
        first, *others = zip(*predictions, strict=True) if predictions else [()]
        for output, parts in zip(self._baseline.outputs, others, strict=False):
            start = self._layout.output_start[output.name]
            for rows, sizes in _alike(parts):
                # Whether numbers are probabilities or labels is told by all that one call answers, never by what others do
                apart = output.task == "binary" and rows.dtype.kind == "f" and not are_probabilities(rows)
                for part in np.split(rows, np.cumsum(sizes)[:-1]) if apart else [rows]:
                    found = interpret(part, output.task, output.classes, self._baseline.threshold)
                    if found.value is not None:
                        increments = count_intervals(found.value, output.histogram.edges or ())
                    else:
                        increments = np.bincount(found.position, minlength=len(output.classes) + 2)  # type: ignore[arg-type]
                    counts[start : start + len(increments)] += increments
        return first

    def _meanings(self, predictions: Sequence[Any]) -> Iterable[Outputs]:
        """The meaning of predictions of the first output; those of one shape and type are read together."""
        logits = self._baseline is not None and self._baseline.logits
        return (self._meaning(rows) for rows, _ in _alike(predictions, logits=logits))

    def _meaning(self, rows: Any) -> Outputs:
        baseline = self._baseline
        if baseline is None or baseline.task is None or baseline.prediction is None:
            return Outputs()
        scored, measure, logits = baseline.confidence is not None, baseline.confidence_measure, baseline.logits
        return interpret(rows, baseline.task, baseline.classes, baseline.threshold, scored=scored, measure=measure, logits=logits)

    def _add_outputs(self, counts: Counts, outputs: Outputs, segment: int) -> None:
        assert self._baseline is not None and self._baseline.prediction is not None  # noqa: PT018
        if outputs.position is not None:
            size = len(self._baseline.classes) + 2
            self._add_at(counts, names.PREDICTION_OBSERVATIONS, np.bincount(outputs.position, minlength=size), segment)
        if outputs.value is not None:
            increments = count_intervals(outputs.value, self._baseline.prediction.edges or ())
            self._add_at(counts, names.PREDICTION_OBSERVATIONS, increments, segment)
        sure = outputs.confidence if self._baseline.confidence_measure == "probability" else outputs.certainty
        if sure is not None and self._baseline.confidence is not None:
            increments = count_intervals(sure, self._baseline.confidence.edges or ())
            self._add_at(counts, names.CONFIDENCE_OBSERVATIONS, increments, segment)
        if outputs.energy is not None and self._baseline.energy is not None:
            self._add_at(counts, names.ENERGY_OBSERVATIONS, count_intervals(outputs.energy, self._baseline.energy.edges or ()))

    def _add_at(self, counts: Counts, metric: names.Metric, increments: Counts, segment: int = 0) -> None:
        series = self._layout.series[metric]
        start = series.start + segment * (len(series.attributes) // max(1, len(self._layout.segments)))
        counts[start : start + len(increments)] += increments


class _Categories:
    """Where the categories of one feature are counted."""

    def __init__(self, feature: Feature, layout: Layout) -> None:
        self.feature = feature
        start = layout.feature_start[feature.name]
        self._places = {label: start + index for index, label in enumerate(feature.histogram.labels)}
        twins = {twin: self._places[name] for name, twin in BOOLEAN_TWINS.items() if name in self._places}
        self._places = twins | self._places
        self._known = frozenset(feature.vocabulary) | set(self._places)
        self._complete = len(feature.vocabulary) < VOCABULARY
        self._violations = layout.violation_start[feature.name]
        rules = feature.rules
        self._pattern = None if rules is None or rules.pattern is None else re.compile(rules.pattern)
        self._allowed = None if rules is None or rules.enum is None else frozenset(rules.enum)

    def add(self, counts: Counts, values: Iterable[Any]) -> tuple[float, int]:
        """Count `values` and those of them that the baseline does not allow; gives what `Held` has of them."""
        other = self._places[names.OTHER]
        tallied = tally(values)
        for label, count in tallied.items():
            counts[self._places.get(label, other)] += count
            if label == names.MISSING:
                if names.VIOLATION_MISSING in self._violations:
                    counts[self._violations[names.VIOLATION_MISSING]] += count
            else:
                for kind in self.kinds(label):
                    counts[self._violations[kind]] += count
        tallied.pop(names.MISSING, None)
        only = next(iter(tallied)) if len(tallied) == 1 else None
        return np.nan if only is None else float(hash(only)), sum(tallied.values())

    def kinds(self, label: str) -> Iterator[str]:
        """The violations that a category is."""
        if label == names.OTHER or label not in self._known:
            if self._complete:
                yield names.VIOLATION_UNSEEN
            if is_default_text(label):
                yield names.VIOLATION_DEFAULT
        if self._pattern is not None and not self._pattern.fullmatch(label):
            yield names.VIOLATION_PATTERN
        if self._allowed is not None and label not in self._allowed:
            yield names.VIOLATION_NOT_ALLOWED


def _alike(predictions: Sequence[Any], *, logits: bool = False) -> Iterator[tuple[npt.NDArray[Any], Sequence[int]]]:
    """The rows of predictions that have one shape and type, and how many rows each prediction has."""
    numbers = [prediction for prediction in predictions if type(prediction) is float]
    if numbers:
        yield np.array(numbers), [1] * len(numbers)
    groups: dict[Any, list[npt.NDArray[Any]]] = {}
    for array in (as_array(prediction, logits=logits) for prediction in predictions if type(prediction) is not float):
        groups.setdefault((array.dtype.kind, array.shape[1:]), []).append(array)
    for group in groups.values():
        yield np.concatenate(group), list(map(len, group))


def mismatches(pattern: re.Pattern[str], column: Any) -> int:
    """How many texts of a column are not as a pattern."""
    values = () if column is ABSENT else column
    return sum(isinstance(value, str) and not pattern.fullmatch(value) for value in values)


def _numbers_of(column: Any, kinds: set[type] | None) -> tuple[npt.NDArray[Any], int]:
    """A column as floats, NaN where missing, and how many of its values were no numbers; `kinds` are its types where known."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column, 0
    values = column.tolist() if isinstance(column, np.ndarray) else column
    if (kinds or set(map(type, values))) <= _PLAIN:
        try:
            return np.array(values, dtype=np.float64), 0
        except OverflowError:
            pass
    return as_numbers(values)
