"""What a prediction means, told on: to the policy that may withhold it, to the span, and in events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from otel_ml import catalogue as names
from otel_ml._abstain import Floats, Policy, Rows, Understood, check_confidence, confidence_of, reads_answers, reads_outliers, replaced
from otel_ml._counts import Counts
from otel_ml._events import PredictionEvents, meaning_of
from otel_ml._ids import TRACE, Source, announce, current_prediction_ids, ids_of, of_trace
from otel_ml._outputs import Outputs
from otel_ml._reading import Kept

if TYPE_CHECKING:
    from otel_ml._calls import Call


class Telling:
    """Tells of the calls of one model; a prediction is understood only where somebody is to hear of it."""

    def __init__(self, counts: Counts, events: PredictionEvents | None, ids: Source | None, abstain: Policy | None, fallback: Any) -> None:
        self._counts = counts
        self._baseline = counts.layout.baseline
        self._events = events
        self._ids = ids
        self._abstain = abstain
        self._fallback = fallback
        self._judges = abstain is not None and reads_answers(abstain)

    def __call__(self, call: Call, kept: Kept | None) -> None:
        """Tell of a call of whose answer this was kept, None where it means nothing; what comes of it is set on the call."""
        traced = call.span.is_recording()
        if self._abstain is None and self._events is None and not traced:
            return
        rows = rows_at_sight(kept)
        outputs = None
        if self._judges or traced or rows is None:
            outputs = self._understood(kept)
            rows = _rows_of(outputs, call)
        if self._abstain is not None:
            self._withhold(call, outputs or Outputs(), rows, legible=kept is not None)
        if traced and rows == 1 and outputs is not None:
            call.meaning = meaning_of(outputs, 0, self._baseline, self._distances(call))
        if self._events is not None and kept is not None and call.counted:
            call.prediction_ids = ids = self._ids_of(call, rows)
            announce(ids)
            sampled = self._events.sampled(ids)
            if sampled:
                self._events.send(ids, sampled, outputs or self._understood(kept), call, self._distances)

    def _understood(self, kept: Kept | None) -> Outputs:
        return Outputs() if kept is None else self._counts.meaning.understand(kept)

    def _distances(self, call: Call) -> Floats | None:
        """How far out each row lies; None where that is unknown."""
        if call.outlier is None and call.captured is not None:
            try:
                call.outlier = self._counts.meaning.distances(call.captured)
            except Exception as fault:  # noqa: BLE001 - telemetry never breaks a prediction
                self._counts.guard.fault(fault, "measuring how far out a row lies")
        return call.outlier

    def _ids_of(self, call: Call, rows: int) -> list[str]:
        """Given, of the trace, or new ones; a shadow takes those of the primary, so that outcomes find both."""
        given = call.given
        if given is None and self._ids == TRACE:
            given = of_trace()
        if given is None and self._counts.layout.role == names.ROLE_SHADOW and len(current_prediction_ids()) == rows:
            given = current_prediction_ids()
        return ids_of(given, rows)

    def _withhold(self, call: Call, outputs: Outputs, rows: int, *, legible: bool) -> None:
        assert self._abstain is not None
        try:
            outlier = self._distances(call) if reads_outliers(self._abstain) else None
            understood = Understood(confidence_of(outputs, self._baseline), outlier, outputs.energy)
            withheld = np.asarray(self._abstain(understood), dtype=bool)
            if np.count_nonzero(withheld):  # a third of what any() takes
                self._replace(call, withheld if withheld.shape == (rows,) else np.broadcast_to(withheld, rows))
            if understood.confidence is None and legible:
                check_confidence(self._abstain)
        except Exception as fault:  # noqa: BLE001 - a policy that fails withholds nothing
            self._counts.guard.fault(fault, "abstaining")

    def _replace(self, call: Call, withheld: Rows) -> None:
        """Raises what keeps the rows from being replaced; they are withheld, and counted so, only afterwards."""
        if not call.replaceable:
            raise TypeError("the caller holds this future already; return one of asyncio or concurrent.futures, or its result")
        call.answer = replaced(call.prediction, withheld, call.data, self._fallback)
        call.withheld = withheld
        if call.counted:
            self._counts.count(names.PREDICTION_ABSTENTIONS, int(np.count_nonzero(withheld)))


def rows_at_sight(kept: Kept | None) -> int | None:
    """The rows of predictions that are plainly one number or text a row; None where they must be understood first.

    >>> rows_at_sight(0.5), rows_at_sight(np.zeros(3)), rows_at_sight(np.zeros((3, 2)))
    (1, 3, None)
    """
    if isinstance(kept, np.ndarray):
        return kept.size if kept.ndim < 2 else None
    return 1 if type(kept) is float else None


def _rows_of(outputs: Outputs, call: Call) -> int:
    parts: Sequence[Any] = [part for part in outputs if part is not None]
    if parts:
        return len(parts[0])
    return call.captured.size if call.captured is not None else 1
