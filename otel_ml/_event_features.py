"""The features that go into an event: only those that were asked for, and hashed where that was asked for, before anything leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from otel_ml._capture import Captured
from otel_ml._settings import Settings
from otel_ml._values import ABSENT, as_numbers, is_missing, is_number, label_of
from otel_ml.baseline import Baseline
from otel_ml.errors import Fault

Chosen = bool | Sequence[str]
_MAX_INT = 2**63


class EventFeatures:
    """Reads the chosen features of a row; text stays as long as a label, and a hash joins with that of every process of the same key."""

    def __init__(self, baseline: Baseline, chosen: Chosen, hashed: Collection[str], key: str) -> None:
        wanted = _sendable(baseline) if chosen is True else list(chosen or ())
        self._chosen = [(name, baseline.columns.index(name), name in hashed) for name in wanted]
        self._key = hashlib.blake2b(key.encode()).digest()
        self.any = bool(wanted)

    def of(self, captured: Captured | None, row: int) -> dict[str, Any]:
        """Feature to number, boolean or text; missing values are left out."""
        if captured is None or row >= captured.size:
            return {}
        values = ((name, self._value(captured, row, name, position), hashed) for name, position, hashed in self._chosen)
        return {name: self._hash(value) if hashed else plain(value) for name, value, hashed in values if not _is_absent(value)}

    def _value(self, captured: Captured, row: int, name: str, position: int) -> Any:
        if captured.matrix is not None:
            return captured.matrix[row, position]
        if captured.rows is not None:
            return captured.rows[row][position]
        if captured.columns is not None:
            column = captured.columns.get(name, ABSENT)
            return column if column is ABSENT else column[row]
        return captured.sparse[row, position] if captured.sparse is not None else ABSENT

    def _hash(self, value: Any) -> str:
        return hashlib.blake2b(label_of(value).encode(), key=self._key, digest_size=16).hexdigest()


def plain(value: Any) -> float | bool | str:
    """A value as every exporter can encode it.

    >>> plain(np.float32(0.5)), plain(10**30), plain("JFK"), plain(np.True_)
    (0.5, 1e+30, 'JFK', True)
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer) and -_MAX_INT <= value < _MAX_INT:
        return int(value)
    return float(as_numbers([value])[0][0]) if is_number(value) else label_of(value)


def _is_absent(value: Any) -> bool:
    return value is ABSENT or is_missing(value)


def _sendable(baseline: Baseline) -> list[str]:
    """The features that are numbers or categories as they come: a text must not leave, and a vector is too long."""
    return [feature.name for feature in baseline.features if feature.source is None]


def faults_of(chosen: Chosen, hashed: Collection[str], baseline: Baseline | None, settings: Settings, *, events: bool) -> list[Fault]:
    """What is wrong with the options `event_features` and `hash_features`."""
    if not chosen and not hashed:
        return []
    if not events:
        return [Fault("event_features", "are given without events", "say with events= which share of the predictions to send")]
    known = set(_sendable(baseline)) if baseline is not None else set()
    listed = [] if isinstance(chosen, bool) else [chosen] if isinstance(chosen, str) else list(chosen)
    faults = [
        Fault("event_features", f"name {name!r}", "name numbers or categories of the baseline") for name in listed if name not in known
    ]
    sent = known if chosen is True else set(listed)
    faults += [Fault("hash_features", f"name {name!r}", "name features that event_features sends") for name in hashed if name not in sent]
    if isinstance(chosen, str):
        faults.append(Fault("event_features", "are a text", f"give a list: [{chosen!r}]"))
    if hashed and not settings.hash_key:
        faults.append(Fault("hash_features", "need a key", "set OTEL_ML_HASH_KEY to one secret text in all replicas"))
    return faults
