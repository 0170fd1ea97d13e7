"""What "normal" was: bins, counts, calibration and schema of a model, as plain JSON with a fingerprint."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from otel_ml._binning import interval_labels, reserved
from otel_ml._certainty import Measure
from otel_ml._outputs import Task

SCHEMA_VERSION = 1
FeatureType = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Histogram:
    """How often each bin of one quantity occurred.

    `edges` are the inner bounds of intervals `(lower, upper]`, or None when the bins are `categories`. `counts` follow
    `labels`: the intervals or categories, then `__missing__`, then `__other__`.
    """

    edges: tuple[float, ...] | None
    categories: tuple[str, ...]
    counts: tuple[int, ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The values of the attribute `ml.bin`, in order."""
        return reserved(self.categories if self.edges is None else interval_labels(self.edges))

    @property
    def samples(self) -> int:
        """The sum of the counts."""
        return sum(self.counts)


@dataclass(frozen=True)
class Source:
    """What a derived feature is made from: a column of the input, and how.

    Of a time: `hour` of the day and `weekday` (in UTC), `age` (days until the call). Of a text: `length` (characters) and
    `unknown_words` (the share of its words that are not in `words`, a table of hashes). Of a vector: `norm`, and `axis` (the
    product with `axis`, less `offset`).
    """

    column: str
    how: str
    words: str = ""
    axis: tuple[float, ...] = ()
    offset: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What the owner declared of a column, whatever was observed: bounds, a pattern that whole values match, and allowed values.

    `required` says that a value must be there, or need not; None: as observed. `repeats` says that one value may stay for as long as
    it likes.
    """

    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] | None = None
    required: bool | None = None
    repeats: bool | None = None


@dataclass(frozen=True)
class Feature:
    """One input of the model: its type, what was observed, and what is allowed.

    `minimum` and `maximum` are those of the finite values, None where there were none; `vocabulary` holds the known
    categories, more than get a bin of their own; `importance` is the share of the model's behaviour that hangs on it.
    `design_effect` is how many times further apart than independent rows two blocks of this feature's rows are, and
    `noise_degrees` how evenly (see `stats.psi_noise_scale`; None: as independent rows). `key_effect` is the same for groups
    of keys alone: how many rows say what one independent row would. `spell_rows` is how many rows that follow each other
    count as one where values are out of range, as those of one storm. `singletons` counts the categories that only one key had.
    `source` tells what a feature is made from that is no column of the input by itself.
    `rules` are those of its column, held by the first feature that is made from it; `defaults` are numbers such as -999 that did
    not occur, and mean that a value is lost where they do.
    """

    name: str
    type: FeatureType
    histogram: Histogram
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    vocabulary: tuple[str, ...] = ()
    importance: float | None = None
    design_effect: float = 1.0
    key_effect: float = 1.0
    noise_degrees: float | None = None
    spell_rows: float = 1.0
    singletons: int = 0
    source: Source | None = None
    rules: Rules | None = None
    defaults: tuple[float, ...] = ()


class Batch(NamedTuple):
    """Some rows of data, and for each what was predicted, what was true, when it was, and whose it is; see `Baseline.from_data`."""

    data: Any
    predictions: Any = None
    labels: Any = None
    time: Any = None
    key: Any = None


@dataclass(frozen=True)
class Calibration:
    """Per confidence bin: outcomes, positives among them, and the sum of their confidences; `edges` are the inner bounds."""

    edges: tuple[float, ...]
    outcomes: tuple[int, ...]
    positives: tuple[int, ...]
    confidence: tuple[float, ...]


@dataclass(frozen=True)
class Outliers:
    """Where rows lie together: the numeric `features`, their mean, scale and precision, and the bins of the squared distance.

    Each feature is divided by its `scale` first; a missing value counts as the mean.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    histogram: Histogram


@dataclass(frozen=True)
class Output:
    """One of several things that a model answers, beside the first: only how often each class or interval occurred.

    The effects are those of `Feature`.
    """

    name: str
    task: Task
    histogram: Histogram
    classes: tuple[str, ...] = ()
    design_effect: float = 1.0
    key_effect: float = 1.0
    noise_degrees: float | None = None


@dataclass(frozen=True)
class Golden:
    """Rows of the data as they were, what was predicted for them, and what they were `transformed` to on the way.

    `form` is the type in which the model takes them; `dtypes` are those of a pandas frame, categories as JSON, and of others those of
    times alone.
    """

    form: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    expected: tuple[Any, ...]
    dtypes: tuple[str, ...] = ()
    transformed: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class Baseline:
    """What a model's inputs, predictions and quality were when it was known to be good.

    `confidence` counts what `confidence_measure` says; `calibration` is of probabilities always. `energy` counts that of the logits, where
    the model answers with logits. Of a model that answers several things
    `output` names the one that `task`, `prediction` and all quality are of, and `outputs` are the others.

    Build it with `Baseline.from_data`, keep it with `save`, read it with `load`. It never changes; `fingerprint` names its
    content and travels with every count, so that counts are only ever compared with the baseline they were counted for.
    """

    model: str
    version: str
    task: Task | None
    created: dt.datetime
    samples: int
    features: tuple[Feature, ...]
    classes: tuple[str, ...] = ()
    threshold: float = 0.5
    prediction: Histogram | None = None
    prediction_design_effect: float = 1.0
    prediction_key_effect: float = 1.0
    prediction_noise_degrees: float | None = None
    confidence: Histogram | None = None
    confidence_measure: Measure = "probability"
    energy: Histogram | None = None
    calibration: Calibration | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    performance: Mapping[str, float] = field(default_factory=dict)
    outliers: Outliers | None = None
    golden: Golden | None = None
    output: str = ""
    outputs: tuple[Output, ...] = ()

    @classmethod
    def from_data(
        cls,
        data: Any,
        *,
        model: str,
        version: str,
        predictions: Any = None,
        labels: Any = None,
        time: Any = None,
        key: Any = None,
        task: Task | Mapping[str, Task] | None = None,
        feature_names: Sequence[str] | None = None,
        categorical: Iterable[str] = (),
        schema: Mapping[str, Mapping[str, Any]] | None = None,
        importance: Mapping[str, float] | None = None,
        predict: Callable[[Any], Any] | None = None,
        classes: Sequence[Any] | None = None,
        threshold: float = 0.5,
        confidence: Measure | None = None,
        logits: bool = False,
        bins: int = 10,
        like: Baseline | None = None,
        golden: int = 0,
        transform: Callable[[Any], Any] | None = None,
    ) -> Baseline:
        """Summarise held-out data: `data` are rows x features (pandas, polars, pyarrow, numpy, or a list of dicts or objects).

        Columns of times, of text and of vectors become features such as `when.hour`, `comment.length` and `embedding.norm`; see
        `Source`. `categorical` names those that are categories all the same, numbers that are codes among them.

        `schema` maps columns to what is declared of them: `type` (numeric, categorical, datetime, text, vector), `minimum`, `maximum`,
        `pattern` (a regular expression of the whole value), `enum` (the values that are allowed), `required`,
        `repeats` (one value may stay for long, as that of a day's price does, and the feature is not stuck).

        `predictions` and `labels` have one entry a row; predictions may be labels, probabilities of the positive class,
        a column of probabilities for each class, or numbers. With labels the baseline holds calibration, confusion and
        performance. `confidence` says what of a row's probabilities is watched: the `probability` of the positive class, or of the
        predicted one of several; the `margin` between the best two classes; or how far the `entropy` lies below its greatest.
        Calibration is of the probability always. `logits` says that the predictions of a classifier are these: probabilities are then their
        softmax, and the energy of each row is watched too (see `stats.energy`). `task` and `classes` (the positive one last) are inferred
        when they can be. `bins` is the number of quantile bins of a numeric feature; `importance` maps columns to weights, and where it is
        absent `predict`, called with rows like `data`, is asked for it by permutation.

        Rows are rarely independent: `time` (when each was) and `key` (whose it is: user, device) tell by how much, and the
        noise floors grow with it. Both are the name of a column, which then is no feature unless `feature_names` has it, or one
        entry a row.

        A model with several outputs has a mapping of them as `predictions` (and as `labels`, and as `task` where they differ): the first is
        the one with confidence, calibration and quality; of the others predictions are counted, and compared.

        `like` is the baseline of another version: features and predictions that both have keep its bins, so that versions compare.

        `golden` rows are stored as they are, with their predictions and what `transform` makes of them, for `Monitor.verify`: raw
        values, personal ones too, that leave with the file. None are, unless you ask.

        Raises `BaselineError`, which lists everything that is wrong with the data.

        >>> import numpy as np
        >>> ages = np.arange(20.0, 70.0).reshape(-1, 1)
        >>> baseline = Baseline.from_data(ages, model="churn", version="3", feature_names=["age"], bins=2)
        >>> dict(zip(baseline.feature("age").histogram.labels, baseline.feature("age").histogram.counts))
        {'00 (-inf, 44]': 25, '01 (44, inf]': 25, '__missing__': 0, '__other__': 0}
        """
        given = dict(locals())
        from otel_ml._baseline_build import build
        from otel_ml._baseline_checks import options_of

        options = options_of(given)
        return build(Batch(data, predictions, labels, time, key), options, predict, golden=golden, transform=transform)

    @classmethod
    def from_batches(
        cls,
        read: Callable[[], Iterable[Batch]],
        *,
        model: str,
        version: str,
        task: Task | Mapping[str, Task] | None = None,
        feature_names: Sequence[str] | None = None,
        categorical: Iterable[str] = (),
        schema: Mapping[str, Mapping[str, Any]] | None = None,
        importance: Mapping[str, float] | None = None,
        predict: Callable[[Any], Any] | None = None,
        classes: Sequence[Any] | None = None,
        threshold: float = 0.5,
        confidence: Measure | None = None,
        logits: bool = False,
        bins: int = 10,
        like: Baseline | None = None,
        sample: int = 200_000,
        golden: int = 0,
        transform: Callable[[Any], Any] | None = None,
    ) -> Baseline:
        """Summarise data larger than memory: each call of `read` gives the same batches, all with the same columns.

        A random `sample` of rows (the same each time) gives the bins, classes and the reference of outliers; then all rows are
        counted. Data no larger than the sample are read once and give what `from_data` gives. `predict` is asked with rows of
        the first batch; `golden` rows come from the sample. The other options, and the errors, are those of `from_data`.

        >>> tables = [Batch({"age": [20, 30]}), Batch({"age": [40, 50]})]
        >>> Baseline.from_batches(lambda: tables, model="churn", version="3").samples
        4
        """
        given = dict(locals())
        from otel_ml._baseline_build import build_batches
        from otel_ml._baseline_checks import options_of

        return build_batches(read, options_of(given), sample, predict, golden=golden, transform=transform)

    @classmethod
    def load(cls, path: str | Path) -> Baseline:
        """Read the baseline that `save` wrote. Raises `BaselineError` with every fault and its place, or `OSError`."""
        from otel_ml._baseline_json import read

        return read(Path(path))

    def save(self, path: str | Path) -> None:
        """Write the baseline as JSON, at once or not at all (a reader never sees half a file)."""
        from otel_ml._baseline_json import write

        write(self, Path(path))

    def to_dict(self) -> dict[str, Any]:
        """The content as plain JSON types, fingerprint included."""
        from otel_ml._baseline_json import encode

        return {**encode(self), "fingerprint": self.fingerprint}

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change whenever anything but the creation time does."""
        from otel_ml._baseline_json import encode

        content = encode(self)
        del content["created"]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @cached_property
    def series(self) -> int:
        """How many time series each replica emits for this baseline, the latency histogram aside."""
        from otel_ml._layout import Layout

        return Layout(self.model, self.version, self).size + 1

    @property
    def logits(self) -> bool:
        """Whether the model answers with logits."""
        return self.energy is not None

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, the first one first; none where a model answers one thing without a name."""
        return (self.output, *(output.name for output in self.outputs)) if self.output else ()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the model's input, in the order of the baseline: its features, or what they are made from."""
        return tuple(dict.fromkeys(feature.name if feature.source is None else feature.source.column for feature in self.features))

    @cached_property
    def _by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.features}

    def feature(self, name: str) -> Feature:
        """The feature called `name`; raises `KeyError` with the known names."""
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"no feature {name!r}; the baseline has {', '.join(self._by_name)}") from None
