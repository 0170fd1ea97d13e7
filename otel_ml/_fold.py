"""From captured rows and predictions to counts: the only place where values meet bins."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml._arrays import dense_parts
from otel_ml._binning import VOCABULARY, count_intervals, tally
from otel_ml._capture import Captured
from otel_ml._derive import Derivation
from otel_ml._heads import heads
from otel_ml._layout import Layout
from otel_ml._outputs import BOOLEAN_TWINS, Outputs, as_array, interpret
from otel_ml._rules import is_default_text
from otel_ml._segment import Place
from otel_ml._values import ABSENT, Absent, as_numbers
from otel_ml.baseline import Feature, Outliers, Rules

Counts = npt.NDArray[np.int64]
CHUNK = 1024
"""Rows of a large matrix that are sorted at a time; they stay in the cache."""

_ONE_THREAD = 1 << 18
"""Multiplications up to which OpenBLAS works in the calling thread; more would wake threads that the model needs."""

_PLAIN = frozenset({int, float, bool, type(None), np.float64, np.float32, np.int64, np.int32, np.bool_})


class Fold:
    """Counts the rows and predictions of one model into an array of its layout.

    A numeric feature costs one sort of its column and one binary search for each edge. Besides the edges eight more bounds are
    looked up: those of the finite numbers, of the observed range, of the range three times as wide, and of 0. Numbers are compared
    in their own precision, so that a float32 equals the edge it was rounded from.
    """

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
        self._bounds = {np.dtype(kind): self._bounds_in(kind) for kind in (np.float32, np.float64)} if self._numeric else {}
        self._width = max((len(feature.histogram.edges or ()) for _, feature in self._numeric), default=0) + 1
        if self._numeric:
            self._places = self._places_of_bins()
        self._near_defaults = np.array([feature.minimum is not None and feature.minimum >= 0 for _, feature in self._numeric])
        self._declared = [
            (row, layout.violation_start[feature.name][names.VIOLATION_BOUNDS], *_bounds_of(feature.rules))
            for row, (_, feature) in enumerate(self._numeric)
            if feature.source is None and feature.rules is not None and names.VIOLATION_BOUNDS in layout.violation_start[feature.name]
        ]
        self._texts = [
            (self._derive.columns.index(feature.source.column), re.compile(feature.rules.pattern), layout.violation_start[feature.name])
            for feature in features
            if feature.source is not None and feature.rules is not None and feature.rules.pattern is not None
        ]
        self._outliers = None
        if self._baseline is not None and self._baseline.outliers is not None:
            self._outliers = _Distances(self._baseline.outliers, [feature.name for _, feature in self._numeric])

    def _bounds_in(self, kind: type[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        """One row a numeric feature: its edges, infinity as often as it takes to be as wide as the others, the eight bounds."""
        width = max(len(feature.histogram.edges or ()) for _, feature in self._numeric) + 1
        largest = np.finfo(kind).max
        rows = np.full((len(self._numeric), width + 8), np.inf, dtype=kind)
        with np.errstate(over="ignore"):
            for row, (_, feature) in zip(rows, self._numeric, strict=True):
                edges = feature.histogram.edges or ()
                row[: len(edges)] = edges
                row[width : width + 6] = -np.inf, largest, -np.inf, np.inf, -np.inf, np.inf
                if 0 in feature.defaults:
                    row[width + 6 :] = np.nextafter(kind(0), kind(-1)), 0
                if feature.minimum is not None and feature.maximum is not None:
                    span = feature.maximum - feature.minimum
                    for at, low, high in (
                        (width + 2, feature.minimum, feature.maximum),
                        (width + 4, feature.minimum - span, feature.maximum + span),
                    ):
                        row[at : at + 2] = np.nextafter(kind(low), kind(-np.inf)), high
        return rows

    def _places_of_bins(self) -> tuple[npt.NDArray[np.bool_], Counts]:
        """Which columns of the table of intervals are real, and where in the layout they belong."""
        real = np.zeros((len(self._numeric), self._width), dtype=bool)
        places = []
        for row, (_, feature) in zip(real, self._numeric, strict=True):
            bins = len(feature.histogram.labels) - 2
            row[:bins] = True
            start = self._layout.feature_start[feature.name]
            places.append(np.arange(start, start + bins))
        return real, np.concatenate(places)

    def inputs(self, captured: Iterable[Captured]) -> Counts:
        """The counts of these inputs: rows, bins, violations and outliers."""
        counts = np.zeros(self._layout.size, dtype=np.int64)
        captured = list(captured)
        counts[0] = sum(item.size for item in captured)
        if self._baseline is None:
            return counts
        counts[self._layout.extra_column] = sum(item.extra for item in captured)
        matrices: dict[np.dtype[Any], list[npt.NDArray[Any]]] = {}
        rows: list[tuple[Any, ...]] = []
        moments: list[float] = []
        for item in captured:
            if item.matrix is not None:
                matrices.setdefault(item.matrix.dtype, []).append(item.matrix)
            elif item.rows is not None:
                rows.extend(item.rows)
                moments += [item.moment] * item.size
            elif item.columns is not None:
                self._add_columns(counts, [item.columns.get(name, ABSENT) for name in self._derive.columns], item.size, [item.moment])
            elif item.sparse is not None:
                for part in dense_parts(item.sparse):
                    self._add_matrix(counts, part)
        for group in matrices.values():
            self._add_matrix(counts, group[0] if len(group) == 1 else np.concatenate(group))
        if rows:
            self._add_columns(counts, list(zip(*rows, strict=True)), len(rows), moments)
        return counts

    def _add_matrix(self, counts: Counts, matrix: npt.NDArray[Any]) -> None:
        positions = [position for position, _ in self._numeric]
        everything = len(positions) == matrix.shape[1]
        kind = np.float32 if matrix.dtype == np.float32 else np.float64
        for start in range(0, len(matrix), CHUNK):
            chunk = matrix[start : start + CHUNK]
            numbers = chunk.T if everything else chunk.T[positions]
            with np.errstate(over="ignore"):  # a number wider than float64 is infinite
                block = np.array(numbers, dtype=kind, order="C")
            self._add_numbers(counts, block)
        for position, categories in self._categorical:
            categories.add(counts, matrix[:, position].tolist())

    def distances(self, captured: Captured) -> npt.NDArray[np.float64] | None:
        """The squared Mahalanobis distance of each row from the baseline; None where the baseline knows no outliers."""
        if self._baseline is None or self._outliers is None:
            return None
        if captured.sparse is not None:
            return np.concatenate([self._of_matrix(part, self._outliers) for part in dense_parts(captured.sparse)])
        if captured.matrix is not None:
            return self._of_matrix(captured.matrix, self._outliers)
        columns = captured.columns or {}
        listed: Sequence[Any] = [columns.get(name, ABSENT) for name in self._derive.columns]
        if captured.rows is not None:
            listed = list(zip(*captured.rows, strict=True))
        if self._derive.any:
            listed = self._derive(listed, np.array([captured.moment]))
        scratch = np.zeros(self._layout.size, dtype=np.int64)
        return self._outliers.of(self._numbers(scratch, listed, captured.size)[0])

    def _of_matrix(self, matrix: npt.NDArray[Any], outliers: _Distances) -> npt.NDArray[np.float64]:
        return outliers.of(matrix.T[[position for position, _ in self._numeric]].astype(np.float64))

    def _numbers(self, counts: Counts, columns: Sequence[Any], size: int) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.bool_]]:
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

    def _add_columns(self, counts: Counts, columns: Sequence[Any], size: int, moments: Sequence[float]) -> None:
        if self._derive.any:
            for position, pattern, places in self._texts:
                counts[places[names.VIOLATION_PATTERN]] += mismatches(pattern, columns[position])
            columns = self._derive(columns, np.array(moments))
        self._add_numbers(counts, *self._numbers(counts, columns, size))
        for position, categories in self._categorical:
            column = self._present(counts, categories.feature, columns[position], size)
            values = [None] * size if column is None else column
            categories.add(counts, values.tolist() if isinstance(values, np.ndarray) else values)

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

    def _add_numbers(self, counts: Counts, numbers: npt.NDArray[np.floating[Any]], singles: npt.NDArray[np.bool_] | None = None) -> None:
        """`numbers` has one row a numeric feature and is sorted in place; `singles` tells which rows came as float32."""
        if not self._numeric or not numbers.size:
            return
        if self._outliers is not None:
            self._add_at(counts, names.OUTLIER_OBSERVATIONS, self._outliers.count(numbers))
        numbers.sort(axis=1)
        bounds = self._bounds[numbers.dtype]
        if singles is not None and singles.any():
            bounds = np.where(singles, self._bounds[np.dtype(np.float32)].astype(np.float64), bounds)
        below = np.empty(bounds.shape, dtype=np.int64)
        for row, ordered, edges in zip(below, numbers, bounds, strict=True):
            row[:] = ordered.searchsorted(edges, "right")
        width = self._width
        real, places = self._places
        counts[places] += np.diff(below[:, :width], axis=1, prepend=0)[real]
        valid = below[:, width - 1]
        infinite = below[:, width] + valid - below[:, width + 1]
        outside, far = (np.maximum(below[:, width + at] + valid - below[:, width + at + 1] - infinite, 0) for at in (2, 4))
        zeros = below[:, width + 7] - below[:, width + 6]
        self._add_violations(counts, numbers.shape[1] - valid, infinite, outside, far)
        for row in np.flatnonzero(zeros + far + outside * self._near_defaults):
            feature = self._numeric[row][1]
            if feature.defaults:
                counts[self._layout.violation_start[feature.name][names.VIOLATION_DEFAULT]] += occurrences(numbers[row], feature.defaults)
        for row, place, minimum, maximum in self._declared:
            ordered = numbers[row, : valid[row]]
            within = ordered.searchsorted(ordered.dtype.type(maximum), "right") - ordered.searchsorted(ordered.dtype.type(minimum), "left")
            counts[place] += valid[row] - within

    def _add_violations(self, counts: Counts, missing: Counts, infinite: Counts, outside: Counts, far: Counts) -> None:
        for row in np.flatnonzero(missing + infinite + outside):
            feature = self._numeric[row][1]
            places = self._layout.violation_start[feature.name]
            counts[self._layout.feature_start[feature.name] + len(feature.histogram.labels) - 2] += missing[row]
            if names.VIOLATION_MISSING in places:
                counts[places[names.VIOLATION_MISSING]] += missing[row]
            counts[places[names.VIOLATION_INFINITE]] += infinite[row]
            counts[places[names.VIOLATION_OUT_OF_RANGE]] += outside[row]
            counts[places[names.VIOLATION_FAR]] += far[row]

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

    def understand(self, predictions: Sequence[Any]) -> Iterable[Outputs]:
        """The meaning of raw predictions, of the first output where there are several."""
        return self._meanings([heads(prediction, self._heads)[0] for prediction in predictions] if self._heads else predictions)

    def _further_counted(self, counts: Counts, predictions: Sequence[Any]) -> Sequence[Any]:
        """Those of the first output; the others are counted."""
        assert self._baseline is not None
        first, *others = zip(*(heads(prediction, self._heads) for prediction in predictions), strict=True) if predictions else [()]
        for output, parts in zip(self._baseline.outputs, others, strict=False):
            for part in parts:
                found = interpret(part, output.task, output.classes, self._baseline.threshold)
                if found.value is not None:
                    increments = count_intervals(found.value, output.histogram.edges or ())
                else:
                    increments = np.bincount(found.position, minlength=len(output.classes) + 2)  # type: ignore[arg-type]
                start = self._layout.output_start[output.name]
                counts[start : start + len(increments)] += increments
        return first

    def _meanings(self, predictions: Sequence[Any]) -> Iterable[Outputs]:
        """The meaning of predictions of the first output; those of one shape and type are read together."""
        baseline = self._baseline
        if baseline is None or baseline.task is None or baseline.prediction is None:
            return
        groups: dict[Any, list[npt.NDArray[Any]]] = {}
        numbers = [prediction for prediction in predictions if type(prediction) is float]
        if numbers:
            groups["f", ()] = [np.array(numbers)]
            predictions = [prediction for prediction in predictions if type(prediction) is not float]
        for prediction in predictions:
            array = as_array(prediction)
            groups.setdefault((array.dtype.kind, array.shape[1:]), []).append(array)
        for group in groups.values():
            scored = baseline.confidence is not None
            rows, measure = np.concatenate(group), baseline.confidence_measure
            yield interpret(rows, baseline.task, baseline.classes, baseline.threshold, scored=scored, measure=measure)

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

    def _add_at(self, counts: Counts, metric: names.Metric, increments: Counts, segment: int = 0) -> None:
        series = self._layout.series[metric]
        start = series.start + segment * (len(series.attributes) // max(1, len(self._layout.segments)))
        counts[start : start + len(increments)] += increments


class _Distances:
    """Counts rows by their squared Mahalanobis distance from the baseline; a missing value counts as the mean."""

    def __init__(self, outliers: Outliers, numeric: Sequence[str]) -> None:
        self._rows = [numeric.index(name) for name in outliers.features]
        scale = np.array(outliers.scale)
        self._centre = np.zeros(len(self._rows))
        self._mean = np.array(outliers.mean)[:, None]
        self._precision = np.array(outliers.precision) / np.outer(scale, scale)
        self._farthest = 1e6 * scale[:, None]
        self._edges = outliers.histogram.edges or ()

    def count(self, numbers: npt.NDArray[np.floating[Any]]) -> Counts:
        """Bins of the distances, and last those that are NaN; `numbers` has one row a numeric feature."""
        return count_intervals(self.of(numbers), self._edges)

    def of(self, numbers: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        """The squared distance of each column of `numbers`."""
        chosen = numbers if len(self._rows) == len(numbers) else numbers[self._rows]
        step = max(1, _ONE_THREAD // len(self._rows) ** 2)
        parts = [self._distances(chosen[:, start : start + step]) for start in range(0, chosen.shape[1], step)]
        return np.concatenate(parts)

    def _distances(self, numbers: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        with np.errstate(all="ignore"):
            centred = numbers - self._mean
            distances = stats.mahalanobis(centred.T, self._centre, self._precision)
            if not np.isfinite(distances).all():
                centred = np.clip(np.nan_to_num(centred), -self._farthest, self._farthest)
                distances = stats.mahalanobis(centred.T, self._centre, self._precision)
        return distances


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

    def add(self, counts: Counts, values: Iterable[Any]) -> None:
        """Count `values` and those of them that the baseline does not allow."""
        other = self._places[names.OTHER]
        for label, count in tally(values).items():
            counts[self._places.get(label, other)] += count
            if label == names.MISSING:
                if names.VIOLATION_MISSING in self._violations:
                    counts[self._violations[names.VIOLATION_MISSING]] += count
            else:
                for kind in self.kinds(label):
                    counts[self._violations[kind]] += count

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


def _bounds_of(rules: Rules) -> tuple[float, float]:
    return -np.inf if rules.minimum is None else rules.minimum, np.inf if rules.maximum is None else rules.maximum


def occurrences(ordered: npt.NDArray[np.floating[Any]], values: Sequence[float]) -> int:
    """How many of `ordered`, which may end with NaN, are one of `values`."""
    wanted = np.array(values, dtype=ordered.dtype)
    return int((ordered.searchsorted(wanted, "right") - ordered.searchsorted(wanted, "left")).sum())


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
