"""What the owner of a model declares about a column, and values that stand for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._values import is_number, label_of
from otel_ml.baseline import Feature, Rules
from otel_ml.errors import Fault

KINDS = ("numeric", "categorical", "datetime", "text", "vector")
"""What a column may be declared to hold, as `type`."""

KEYWORDS = ("type", "minimum", "maximum", "pattern", "enum", "required", "repeats")

DEFAULT_NUMBERS = (-99999.0, -9999.0, -999.0, -99.0, -1.0, 0.0, 99.0, 999.0, 9999.0, 99999.0)
DEFAULT_TEXTS = frozenset(
    {"", "-", "--", "?", "#n/a", "<na>", "n/a", "na", "nan", "nil", "none", "null", "undefined", "unknown", "missing", "-1", "-99", "-999"}
)
"""What programs write where they have no value, in lower case."""


def is_default_text(label: str) -> bool:
    """Whether a category is what programs write where they have none."""
    return label.strip().lower() in DEFAULT_TEXTS


def watched_defaults(seen: npt.NDArray[np.bool_], minimum: float, maximum: float) -> tuple[float, ...]:
    """Those default numbers that did not occur and would not: 0, a negative one where none is, one that is far out of range."""
    span = maximum - minimum
    return tuple(
        token
        for token, known in zip(DEFAULT_NUMBERS, seen, strict=True)
        if not known and (token == 0 or (token < 0 <= minimum) or not minimum - span <= token <= maximum + span)
    )


def rules_of(declared: Mapping[str, Any]) -> Rules | None:
    """What is declared of one column, its type aside."""
    found = {name: value for name, value in declared.items() if name != "type"}
    found |= {name: float(found[name]) for name in ("minimum", "maximum") if name in found}
    if "enum" in found:
        found["enum"] = tuple(map(label_of, found["enum"]))
    return Rules(**found) if found else None


def rule_faults(column: str, rules: Rules, feature: Feature) -> Iterator[Fault]:
    """Rules that do not go with what the column holds; `feature` is the first that it gives."""
    place, derived = f"schema[{column!r}]", feature.source is not None
    if (rules.minimum is not None or rules.maximum is not None) and (derived or feature.type != "numeric"):
        yield Fault(place, "minimum and maximum are for numbers", f"leave them out, or check what the values of {column!r} are")
    if rules.enum is not None and (derived or feature.type != "categorical"):
        yield Fault(place, "enum is for categories", "declare type 'categorical' beside it")
    if rules.pattern is not None and not (feature.name == f"{column}.length" if derived else feature.type == "categorical"):
        yield Fault(place, "pattern is for text", "declare type 'categorical' or 'text' beside it")


def schema_faults(schema: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the option `schema`, column by column."""
    for column, declared in schema.items():
        place = f"schema[{column!r}]"
        if not isinstance(declared, Mapping):
            yield Fault(place, f"is {type(declared).__name__}", f"give a mapping with some of {', '.join(KEYWORDS)}")
            continue
        for name in declared.keys() - set(KEYWORDS):
            yield Fault(place, f"{name!r} is unknown", f"give some of {', '.join(KEYWORDS)}")
        yield from _value_faults(place, declared)


def _value_faults(place: str, declared: Mapping[str, Any]) -> Iterator[Fault]:
    if declared.get("type", KINDS[0]) not in KINDS:
        yield Fault(place, f"type {declared['type']!r} is unknown", f"give one of {', '.join(KINDS)}")
    bounds = [declared[name] for name in ("minimum", "maximum") if name in declared]
    if not all(is_number(bound) and np.isfinite(bound) for bound in bounds) or bounds != sorted(bounds):
        yield Fault(place, f"minimum and maximum are {', '.join(map(repr, bounds))}", "give numbers, the smaller one as minimum")
    if "pattern" in declared:
        try:
            re.compile(declared["pattern"])
        except (re.error, TypeError) as error:
            yield Fault(place, f"pattern is no regular expression ({error})", "give one that matches the whole value")
    if "enum" in declared and (isinstance(declared["enum"], str) or not hasattr(declared["enum"], "__iter__")):
        yield Fault(place, "enum is no list", "list the values that are allowed")
