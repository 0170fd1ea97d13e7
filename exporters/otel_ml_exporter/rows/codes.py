"""Rows as numbers in the order of a baseline's features: numbers as they are, categories as their place, so that no text is kept."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_ml.baseline import Baseline, Feature
from otel_ml.catalogue import OTHER
from otel_ml_exporter.outcomes.ingest import label_text
from otel_ml_exporter.shape import UnfitError

Codes = npt.NDArray[np.float64]

ABSENT: Final = -math.inf
"""The code of a feature that a row does not name, or names by a hash alone; a missing value is NaN."""

_HASH = re.compile("[0-9a-f]{32}")


class Coder:
    """Turns the rows of one model into codes, shape (features,)."""

    def __init__(self, baseline: Baseline) -> None:
        self.features = baseline.features

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        return {
            feature.name: {label: place for place, label in enumerate(feature.histogram.categories)}
            for feature in self.features
            if feature.type == "categorical"
        }

    def row(self, values: Mapping[str, Any]) -> Codes:
        """The codes of one row, a map from feature to value; other names are passed over."""
        return np.array([self._code(feature, values[feature.name]) if feature.name in values else ABSENT for feature in self.features])

    def rows(self, columns: Mapping[str, Iterable[Any]], number: int) -> Codes:
        """The codes of so many rows, given by columns of that length; shape (rows, features). A column may be absent."""
        codes = np.full((number, len(self.features)), ABSENT)
        for place, feature in enumerate(self.features):
            if feature.name in columns:
                codes[:, place] = [self._code(feature, value) for value in columns[feature.name]]
        return codes

    def _code(self, feature: Feature, value: Any) -> float:
        if value is None or value != value:  # noqa: PLR0124 - NaN is not equal to itself
            return math.nan
        if isinstance(value, str) and _HASH.fullmatch(value):
            return ABSENT
        if feature.type == "numeric":
            return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan
        places = self._places[feature.name]
        return float(places.get(category(value), len(places)))


def category(value: Any) -> str:
    """The category that a value names, in the form that the baseline has it; `__other__` for what names none."""
    try:
        return label_text(value if isinstance(value, str | int | float) else str(value))
    except UnfitError:
        return OTHER
