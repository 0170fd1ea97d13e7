"""Predictions that are better not used: a policy says which rows to withhold, and the caller gets the fallback instead."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml._option_types import is_number
from otel_ml._outputs import Outputs
from otel_ml.baseline import Baseline
from otel_ml.errors import Fault

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]


class Understood(NamedTuple):
    """What a policy judges a call by: each part has one entry a row, or is None where the baseline cannot tell.

    `confidence` is that in the class that was answered; `outlier` the squared Mahalanobis distance from the baseline's rows; `energy`
    that of the logits.
    """

    confidence: Floats | None = None
    outlier: Floats | None = None
    energy: Floats | None = None


Policy = Callable[[Understood], Any]


@dataclass(frozen=True)
class Abstain:
    """Withhold a row whose confidence lies below a limit, or that lies farther out or has more energy than one; a missing one is below.

    `confidence_below` is compared with the confidence in the class that was answered, `outlier_above` with the squared Mahalanobis
    distance, whose quantiles 0.5, 0.9, 0.99 and 0.999 the baseline has in `outliers.histogram.edges`, `energy_above` with the energy,
    whose quantiles are in `energy.edges`.

    >>> import numpy as np
    >>> Abstain(confidence_below=0.7)(Understood(confidence=np.array([0.6, 0.9]))).tolist()
    [True, False]
    """

    confidence_below: float | None = None
    outlier_above: float | None = None
    energy_above: float | None = None

    def __call__(self, understood: Understood) -> Rows:
        """Which rows to withhold; one entry where nothing tells."""
        found: list[Rows] = []
        if self.confidence_below is not None and understood.confidence is not None:
            found.append(~(understood.confidence >= self.confidence_below))
        if self.outlier_above is not None and understood.outlier is not None:
            found.append(understood.outlier > self.outlier_above)
        if self.energy_above is not None and understood.energy is not None:
            found.append(understood.energy > self.energy_above)
        return reduce(np.logical_or, found) if found else np.zeros(1, dtype=bool)


def reads_outliers(policy: Policy) -> bool:
    """Whether a policy looks at the distances; one of the user's own may."""
    return not isinstance(policy, Abstain) or policy.outlier_above is not None


def check_confidence(policy: Policy) -> None:
    """Raises `ValueError` where a policy is to judge an answer by a confidence that it does not have; one of the user's own may."""
    if isinstance(policy, Abstain) and policy.confidence_below is not None:
        raise ValueError("the answer has no confidence to judge by; give probabilities, or a policy of your own")


def reads_answers(policy: Policy) -> bool:
    """Whether a policy looks at what is answered; one of the user's own may."""
    return not isinstance(policy, Abstain) or (policy.confidence_below, policy.energy_above) != (None, None)


def faults_of(policy: Any, fallback: Any, baseline: Baseline | None) -> list[Fault]:
    """What is wrong with the options `abstain` and `fallback`."""
    if policy is None:
        return [] if fallback is None else [Fault("fallback", "is given without abstain", "say with abstain= when to use it")]
    if not callable(policy) or isinstance(policy, type):
        return [Fault("abstain", f"is {policy!r}", "give otel_ml.Abstain(...), or a function of what was understood")]
    if not isinstance(policy, Abstain):
        return []
    faults = []
    if (policy.confidence_below, policy.outlier_above, policy.energy_above) == (None, None, None):
        faults.append(Fault("abstain", "has no limit", "give Abstain a confidence_below, an outlier_above or an energy_above"))
    faults += [
        Fault(f"abstain.{name}", f"is {limit!r}", "give a number")
        for name, limit in vars(policy).items()
        if limit is not None and not is_number(limit)
    ]
    if is_number(policy.confidence_below) and not 0 < policy.confidence_below <= 1:
        faults.append(Fault("abstain.confidence_below", f"is {policy.confidence_below}", "give a confidence, 0 to 1"))
    if policy.confidence_below is not None and (baseline is None or baseline.confidence is None):
        faults.append(Fault("abstain", "needs confidences", "build the baseline with predictions= that are probabilities"))
    if policy.outlier_above is not None and (baseline is None or baseline.outliers is None):
        faults.append(Fault("abstain", "needs a baseline that knows outliers", "build it from at least two numeric features that vary"))
    if policy.energy_above is not None and (baseline is None or not baseline.logits):
        faults.append(Fault("abstain", "needs energies", "build the baseline with predictions= that are logits, and logits=True"))
    return faults


def confidence_of(outputs: Outputs, baseline: Baseline | None) -> Floats | None:
    """The confidence in the class that was answered; that of a binary model is the positive class's until here."""
    if outputs.confidence is None or baseline is None or baseline.task != "binary" or outputs.position is None:
        return outputs.confidence
    if outputs.position.size == 1:  # most calls; a quarter of what follows
        return outputs.confidence if outputs.position[0] else 1 - outputs.confidence
    return np.where(outputs.position == 0, 1 - outputs.confidence, outputs.confidence)


def replaced(answer: Any, withheld: Rows, data: Any, fallback: Any) -> Any:
    """What the caller gets: what the function `fallback` makes of it all, or a copy in which each withheld row is `fallback`.

    `fallback` itself takes the place of an answer for one row, unless that is an array, a list or a Series of one. In an array of
    several columns it takes each of them, unless it is as long as the row. Raises `TypeError` for a container of several rows that
    cannot be replaced.
    """
    if callable(fallback):
        return fallback(data, answer, withheld)
    if isinstance(answer, np.ndarray) and answer.ndim:
        return _replaced_rows(answer, withheld, fallback)
    if isinstance(answer, list | tuple) and len(answer) == len(withheld):
        rows = [fallback if hide else row for row, hide in zip(answer, withheld.tolist(), strict=True)]
        return rows if isinstance(answer, list) else tuple(rows)
    if hasattr(answer, "mask") and getattr(answer, "ndim", 0) == 1:
        return _replaced_series(answer, withheld, fallback)
    if len(withheld) == 1:
        return fallback
    raise TypeError(f"rows of {type(answer).__name__} cannot be replaced; give a function as fallback=")


def _replaced_series(answer: Any, withheld: Rows, fallback: Any) -> Any:
    """A Series keeps its type where the fallback goes with it, and becomes one of objects where not."""
    if not isinstance(fallback, Collection) or isinstance(fallback, str):
        with contextlib.suppress(TypeError, ValueError):
            return answer.mask(withheld, fallback)
    changed = answer.astype(object)
    for row in np.flatnonzero(withheld).tolist():
        changed.iat[row] = fallback
    return changed


def _replaced_rows(answer: npt.NDArray[Any], withheld: Rows, fallback: Any) -> npt.NDArray[Any]:
    if len(answer) != len(withheld):
        raise TypeError(f"an answer of {len(answer)} rows for {len(withheld)}; give a function as fallback=")
    is_row = answer.ndim > 1 and isinstance(fallback, list | tuple | np.ndarray) and len(fallback) == answer.shape[1]
    value = np.empty(answer.shape[1] if is_row else (), dtype=object)
    value[() if value.ndim == 0 else slice(None)] = fallback
    numbers = answer.dtype.kind in "fiub" and all(isinstance(part, int | float | np.number | np.bool_) for part in value.flat)
    changed = answer.astype(np.result_type(answer, np.array(value.tolist())) if numbers else object)
    changed[withheld] = value
    return changed
