"""The JSON form of a baseline: written for diffs, read with every fault named."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

from otel_ml._baseline_reader import REBUILD, Reader
from otel_ml._binning import interval_labels, reserved
from otel_ml._certainty import MEASURES
from otel_ml._derive import WAYS, pack_words, unpack_words
from otel_ml._golden import FORMS
from otel_ml._outputs import TASKS
from otel_ml._rules import schema_faults
from otel_ml.baseline import SCHEMA_VERSION, Baseline, Calibration, Feature, Golden, Histogram, Outliers, Output, Rules, Source
from otel_ml.catalogue import MISSING, OTHER
from otel_ml.errors import BaselineError, Fault
from otel_ml.files import write_text

MAX_BYTES = 64 * 1024 * 1024
_NOISE = ("design_effect", "noise_degrees", "key_effect")


def write(baseline: Baseline, path: Path) -> None:
    """See `Baseline.save`."""
    write_text(path, dumps(baseline.to_dict()) + "\n")


def dumps(value: Any, indent: str = "") -> str:
    """JSON with a line for each field but none for each number, so that a diff shows which bin moved."""
    deeper = indent + "  "
    if isinstance(value, Mapping) and value:
        body = ",\n".join(f"{deeper}{json.dumps(key, ensure_ascii=False)}: {dumps(item, deeper)}" for key, item in value.items())
        return f"{{\n{body}\n{indent}}}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encode(baseline: Baseline) -> dict[str, Any]:
    """The content as plain JSON types, without the fingerprint."""
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "model": baseline.model,
        "version": baseline.version,
        "task": baseline.task,
        "created": baseline.created.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z"),
        "samples": baseline.samples,
        "features": {feature.name: _encode_feature(feature) for feature in baseline.features},
    }
    if baseline.prediction is not None:
        content["prediction"] = _encode_histogram(baseline.prediction)
    content |= _encode_noise("prediction_", baseline)
    if baseline.classes:
        content |= {"classes": list(baseline.classes), "threshold": baseline.threshold}
    scores = {"confidence": baseline.confidence, "energy": baseline.energy}
    content |= {name: _encode_histogram(histogram) for name, histogram in scores.items() if histogram is not None}
    if baseline.confidence_measure != "probability":
        content["confidence_measure"] = baseline.confidence_measure
    if baseline.calibration is not None:
        content["calibration"] = {name: list(values) for name, values in vars(baseline.calibration).items()}
    if baseline.confusion is not None:
        content["confusion"] = [list(row) for row in baseline.confusion]
    if baseline.performance:
        content["performance"] = dict(baseline.performance)
    if baseline.outliers is not None:
        content["outliers"] = _encode_outliers(baseline.outliers)
    content |= _encode_outputs(baseline)
    if baseline.golden is not None:
        content["golden"] = _encode_golden(baseline.golden)
    return content


def _encode_histogram(histogram: Histogram) -> dict[str, Any]:
    bins = dict(zip(histogram.labels, histogram.counts, strict=True))
    return {"bins": bins} if histogram.edges is None else {"edges": list(histogram.edges), "bins": bins}


def _encode_feature(feature: Feature) -> dict[str, Any]:
    content: dict[str, Any] = {"type": feature.type, **_encode_histogram(feature.histogram)}
    for name in ("minimum", "maximum", "mean", "std", "importance"):
        if getattr(feature, name) is not None:
            content[name] = getattr(feature, name)
    content |= _encode_noise("", feature)
    if feature.spell_rows != 1:
        content["spell_rows"] = feature.spell_rows
    if feature.type == "categorical":
        content["vocabulary"] = list(feature.vocabulary)
    if feature.singletons:
        content["singletons"] = feature.singletons
    if feature.defaults:
        content["defaults"] = list(feature.defaults)
    if feature.rules is not None:
        declared = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(feature.rules).items()}
        content["schema"] = {name: value for name, value in declared.items() if value is not None}
    if feature.source is not None:
        content["source"] = _encode_source(feature.source)
    return content


def _encode_outputs(baseline: Baseline) -> dict[str, Any]:
    """The name of the first output and what is known of the others; nothing where there is one without a name."""
    outputs = {
        output.name: {
            "task": output.task,
            **({"classes": list(output.classes)} if output.classes else {}),
            **_encode_histogram(output.histogram),
            **_encode_noise("", output),
        }
        for output in baseline.outputs
    }
    return {"output": baseline.output, "outputs": outputs} if baseline.output else {}


def _encode_source(source: Source) -> dict[str, Any]:
    content: dict[str, Any] = {"column": source.column, "how": source.how}
    if source.how == "unknown_words":
        content["words"] = source.words
    if source.how == "axis":
        content |= {"axis": list(source.axis), "offset": source.offset}
    return content


def _encode_noise(prefix: str, owner: Feature | Baseline | Output) -> dict[str, Any]:
    """What is known of rows that are not independent; absent where nothing is, so that such a file keeps its fingerprint."""
    found = {prefix + name: getattr(owner, prefix + name) for name in _NOISE}
    return {name: value for name, value in found.items() if value not in (1, None)}


def _encode_outliers(outliers: Outliers) -> dict[str, Any]:
    return {
        "features": list(outliers.features),
        "mean": list(outliers.mean),
        "scale": list(outliers.scale),
        "precision": [list(row) for row in outliers.precision],
        **_encode_histogram(outliers.histogram),
    }


def _encode_golden(golden: Golden) -> dict[str, Any]:
    """A line for each record."""
    records = {str(number): {"row": _listed(row)} for number, row in enumerate(golden.rows)}
    for number, answer in enumerate(golden.expected):
        records[str(number)]["expected"] = _listed(answer)
    for number, made in enumerate(golden.transformed or ()):
        records[str(number)]["transformed"] = _listed(made)
    return {"form": golden.form, "columns": list(golden.columns), "dtypes": list(golden.dtypes), "records": records}


def _listed(value: Any) -> Any:
    return list(map(_listed, value)) if isinstance(value, tuple | list) else value


def read(path: Path) -> Baseline:
    """See `Baseline.load`."""
    subject = f"baseline {path}"
    if path.stat().st_size > MAX_BYTES:
        raise BaselineError(
            subject, [Fault("file", f"is larger than {MAX_BYTES >> 20} MiB", "give the JSON file that Baseline.save wrote")]
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BaselineError(subject, [Fault("file", f"is not JSON ({error})", "give the file that Baseline.save wrote")]) from error
    return decode(document, subject)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def decode(document: Any, subject: str = "the baseline") -> Baseline:
    """The baseline that `document` describes; raises `BaselineError` with every fault."""
    reader = Reader(document)
    schema = reader.take("schema_version", int, default=None)
    if schema != SCHEMA_VERSION:
        mend = "update otel-ml" if isinstance(schema, int) and schema > SCHEMA_VERSION else REBUILD
        raise BaselineError(subject, [Fault("schema_version", f"is {schema!r}, this version reads {SCHEMA_VERSION}", mend)])
    fields = _decode_fields(reader)
    _check_agreement(reader, fields)
    if reader.faults:
        raise BaselineError(subject, reader.faults)
    baseline = Baseline(**fields)
    stored = document.get("fingerprint")
    if stored != baseline.fingerprint:
        problem = f"is {stored!r}, the content gives {baseline.fingerprint!r}: the file was edited"
        raise BaselineError(
            subject, [Fault("fingerprint", problem, "restore the file or build it again; counts travel with the fingerprint")]
        )
    return baseline


def _decode_fields(reader: Reader) -> dict[str, Any]:
    task = reader.take("task", str, default=None)
    if task is not None and task not in TASKS:
        reader.fault("task", f"{task!r} is unknown", f"one of {', '.join(TASKS)}")
    measure = reader.take("confidence_measure", str, default="probability")
    if measure not in MEASURES:
        reader.fault("confidence_measure", f"{measure!r} is unknown", f"one of {', '.join(MEASURES)}")
    classes = reader.strings("classes", default=())
    features = []
    with reader.inside("features") as names:
        if not names:
            reader.fault("", "there are none", REBUILD)
        for name in names:
            with reader.inside(name):
                features.append(_decode_feature(reader, name))
    calibration = outliers = None
    if reader.has("calibration"):
        with reader.inside("calibration"):
            calibration = _decode_calibration(reader)
    if reader.has("outliers"):
        with reader.inside("outliers"):
            outliers = _decode_outliers(reader)
    outputs = []
    with reader.inside("outputs") if reader.has("outputs") else nullcontext(()) as names:
        for name in names:
            with reader.inside(name):
                outputs.append(_decode_output(reader, name))
    golden = None
    if reader.has("golden"):
        with reader.inside("golden"):
            golden = _decode_golden(reader)
    return {
        "model": reader.take("model", str),
        "version": reader.take("version", str),
        "task": task,
        "created": reader.time("created"),
        "samples": reader.take("samples", int),
        "features": tuple(features),
        "classes": classes,
        "threshold": reader.take("threshold", float, default=0.5),
        "prediction": _decode_histogram(reader, "prediction"),
        **_decode_noise(reader, "prediction_"),
        "confidence": _decode_histogram(reader, "confidence"),
        "confidence_measure": measure,
        "energy": _decode_histogram(reader, "energy"),
        "calibration": calibration,
        "confusion": reader.matrix("confusion", len(classes)) if reader.has("confusion") else None,
        "performance": reader.mapping("performance"),
        "outliers": outliers,
        "golden": golden,
        "output": reader.take("output", str, default=""),
        "outputs": tuple(outputs),
    }


def _decode_output(reader: Reader, name: str) -> Output:
    task, histogram = reader.take("task", str), _histogram(reader)
    if task not in TASKS or (task == "regression") != (histogram.edges is not None):
        reader.fault("task", f"{task!r} is unknown, or not that of the bins", REBUILD)
    classes = reader.strings("classes", default=())
    if classes != histogram.categories:
        reader.fault("bins", "are not the classes", REBUILD)
    return Output(name, task, histogram, classes, **_decode_noise(reader, ""))


def _decode_golden(reader: Reader) -> Golden:
    form, columns = reader.take("form", str), reader.strings("columns")
    if form not in FORMS:
        reader.fault("form", f"{form!r} is unknown", f"one of {', '.join(FORMS)}")
    rows, expected, transformed = [], [], []
    with reader.inside("records") as numbers:
        for number in numbers:
            with reader.inside(number):
                rows.append(tuple(reader.take("row", list)))
                expected.append(reader.given("expected"))
                if reader.has("transformed"):
                    transformed.append(reader.numbers("transformed"))
        if any(len(row) != len(columns) for row in rows) or (transformed and len(transformed) != len(rows)):
            reader.fault("", "do not have a value for each column", REBUILD)
    made = tuple(transformed) if transformed else None
    return Golden(form, columns, tuple(rows), tuple(expected), reader.strings("dtypes"), made)


def _check_agreement(reader: Reader, fields: Mapping[str, Any]) -> None:
    """Parts that are sound each by itself, and must fit together."""
    classes, prediction, outliers = fields["classes"], fields["prediction"], fields["outliers"]
    if fields["task"] == "binary" and prediction is not None and len(classes) != 2:
        reader.fault("classes", f"are {len(classes)} where a binary model has two", REBUILD)
    if prediction is not None and prediction.edges is None and prediction.categories != classes:
        reader.fault("prediction.bins", "are not the classes", REBUILD)
    numeric = {feature.name for feature in fields["features"] if feature.histogram.edges is not None}
    if outliers is not None and not numeric.issuperset(outliers.features):
        reader.fault("outliers.features", "are not all numeric features", REBUILD)


def _decode_histogram(reader: Reader, name: str) -> Histogram | None:
    if not reader.has(name):
        return None
    with reader.inside(name):
        return _histogram(reader)


def _histogram(reader: Reader) -> Histogram:
    bins = reader.mapping("bins")
    edges = reader.numbers("edges") if reader.has("edges") else None
    if edges is not None and any(b <= a for a, b in pairwise(edges)):
        reader.fault("edges", "do not increase", REBUILD)
    categories = tuple(label for label in bins if label not in (MISSING, OTHER)) if edges is None else ()
    if tuple(bins) != reserved(categories if edges is None else interval_labels(edges)):
        reader.fault("bins", "are not the labels that belong to the edges or categories", REBUILD)
    if any(not isinstance(count, int) or count < 0 for count in bins.values()):
        reader.fault("bins", "hold counts that are not whole numbers of 0 or more", REBUILD)
    return Histogram(edges, categories, tuple(bins.values()))


def _decode_feature(reader: Reader, name: str) -> Feature:
    kind = reader.take("type", str)
    histogram = _histogram(reader)
    if kind not in ("numeric", "categorical"):
        reader.fault("type", f"{kind!r} is unknown", "numeric or categorical")
    elif (kind == "numeric") != (histogram.edges is not None):
        reader.fault("edges", "belong to numeric features, and only to them", REBUILD)
    summary = {key: reader.take(key, float, default=None) for key in ("minimum", "maximum", "mean", "std", "importance")}
    vocabulary = reader.strings("vocabulary", default=())
    singletons = reader.take("singletons", int, default=0)
    if singletons < 0:
        reader.fault("singletons", f"are {singletons}, less than 0", REBUILD)
    spell_rows = reader.take("spell_rows", float, default=1.0)
    if spell_rows < 1:
        reader.fault("spell_rows", f"is {spell_rows!r}, less than 1", REBUILD)
    source = None
    if reader.has("source"):
        with reader.inside("source"):
            source = _decode_source(reader)
    rules = None
    if reader.has("schema"):
        with reader.inside("schema"):
            rules = _decode_rules(reader)
    defaults = reader.numbers("defaults") if reader.has("defaults") else ()
    rest = {**_decode_noise(reader, ""), **summary, "rules": rules, "defaults": defaults, "spell_rows": spell_rows}
    return Feature(name, kind, histogram, vocabulary=vocabulary, singletons=singletons, source=source, **rest)


def _decode_rules(reader: Reader) -> Rules:
    declared: dict[str, Any] = {name: reader.take(name, float, default=None) for name in ("minimum", "maximum")}
    declared["pattern"] = reader.take("pattern", str, default=None)
    declared |= {name: reader.flag(name) for name in ("required", "repeats")}
    declared["enum"] = reader.strings("enum") if reader.has("enum") else None
    for fault in schema_faults({"": {name: value for name, value in declared.items() if value is not None}}):
        reader.fault("", fault.problem, REBUILD)
    return Rules(**declared)


def _decode_source(reader: Reader) -> Source:
    how = reader.take("how", str)
    if how not in WAYS:
        reader.fault("how", f"{how!r} is unknown", f"one of {', '.join(WAYS)}")
    words = reader.take("words", str) if how == "unknown_words" else ""
    try:
        unpack_words(words or pack_words(()))
    except ValueError as error:
        reader.fault("words", f"are no table of words ({error})", REBUILD)
    axis, offset = (reader.numbers("axis"), reader.take("offset", float)) if how == "axis" else ((), 0.0)
    return Source(reader.take("column", str), how, words, axis, offset)


def _decode_noise(reader: Reader, prefix: str) -> dict[str, Any]:
    effects = {prefix + name: reader.take(prefix + name, float, default=1.0) for name in ("design_effect", "key_effect")}
    for name, found in effects.items():
        if found < 1:
            reader.fault(name, f"is {found!r}, less than 1", REBUILD)
    degrees = reader.take(f"{prefix}noise_degrees", float, default=None)
    if degrees is not None and degrees <= 0:
        reader.fault(f"{prefix}noise_degrees", f"are {degrees!r}, not above 0", REBUILD)
    return {**effects, f"{prefix}noise_degrees": degrees}


def _decode_calibration(reader: Reader) -> Calibration:
    edges = reader.numbers("edges")
    rows = [reader.numbers(name, length=len(edges) + 1) for name in ("outcomes", "positives", "confidence")]
    return Calibration(edges, tuple(map(int, rows[0])), tuple(map(int, rows[1])), rows[2])


def _decode_outliers(reader: Reader) -> Outliers:
    features = reader.strings("features")
    mean, scale = (reader.numbers(name, length=len(features)) for name in ("mean", "scale"))
    return Outliers(features, mean, scale, reader.matrix("precision", len(features)), _histogram(reader))
