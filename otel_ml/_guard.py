"""A fault of the plugin never reaches the caller: it is counted, logged once, and the prediction goes out."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from otel_ml._forks import renew_in_children
from otel_ml._settings import Settings

logger = logging.getLogger("otel_ml")

OTHER_ERROR = "_OTHER"
"""The value of `error.type` once there are too many kinds, as OpenTelemetry's conventions have it."""
_MAX_KINDS = 50


def error_type(error: BaseException) -> str:
    """The value of `error.type`: the class, with its module unless it is a builtin.

    >>> error_type(ValueError()), error_type(logging.raiseExceptions and __import__("json").JSONDecodeError("", "", 0))
    ('ValueError', 'json.decoder.JSONDecodeError')
    """
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Guard:
    """Counts the plugin's own faults by type; in strict mode they raise."""

    def __init__(self, model: str, settings: Settings) -> None:
        self._model = model
        self.strict = settings.strict
        renew_in_children(self)

    def renew(self) -> None:
        """Start from 0 with a lock of its own."""
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()

    def fault(self, error: Exception, doing: str) -> None:
        """Note that `error` happened while `doing` something; raises it in strict mode."""
        kind = error_type(error)
        with self._lock:
            if kind not in self._counts and len(self._counts) >= _MAX_KINDS:
                kind = OTHER_ERROR
            first = kind not in self._counts
            self._counts[kind] += 1
        if self.strict:
            raise error
        if first:
            logger.warning(
                "otel-ml could not finish %s for model %s; predictions are not affected, later faults of this kind are only counted "
                "(set OTEL_ML_STRICT=1 to raise them): %s: %s",
                doing,
                self._model,
                kind,
                _text(error),
            )

    def counts(self) -> dict[str, int]:
        """Faults so far, by `error.type`."""
        with self._lock:
            return dict(self._counts)

    def merge(self, other: Guard) -> None:
        """Add what another guard has counted."""
        with self._lock:
            self._counts.update(other.counts())


def _text(error: Exception) -> str:
    try:
        return str(error)[:300]
    except Exception:  # noqa: BLE001 - an exception of the user's own class may not even print
        return "(its message cannot be printed)"
