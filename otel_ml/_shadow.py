"""A candidate that is tried on real traffic beside the model that answers, and compared with it."""

from __future__ import annotations

import copy
import functools
import inspect
import time
import weakref
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml._answers import is_scored
from otel_ml._option_types import OF_SHADOW, type_faults
from otel_ml._pool import Pool
from otel_ml._reading import AnswerReader, rows_of
from otel_ml._settings import Settings
from otel_ml._streams import is_stream
from otel_ml._values import label_of
from otel_ml._wrappers import standing_for
from otel_ml.errors import ConfigurationError, Fault
from otel_ml.monitor import Monitor, monitor_of

Function = TypeVar("Function", bound=Callable[..., Any])
Agree = Callable[[Any, Any], Any]

CLOSE = 0.01
"""How far apart two predicted numbers may be, relative to the larger, and still agree."""


def shadow(
    primary: Function,
    candidate: Callable[..., Any],
    *,
    agree: Agree | None = None,
    workers: int = 1,
    queue: int = 32,
    timeout: float = 5.0,
) -> Function:
    """`primary`, whose calls are also given to `candidate` afterwards, off the caller's path; what the two answer is compared.

    `candidate` is monitored with `role="shadow"`. It never changes an answer: it gets copies of the arguments, runs in one of
    `workers` threads, and is left out where `queue` calls wait already or `timeout` seconds passed since the primary answered. The
    comparisons are counted in rows as `ml.shadow.comparisons`. Rows agree that mean the same class, or numbers that differ by at most
    1 %; `agree`, called with both answers, gives a truth value of its own, or one for each row.

    Either may be a coroutine function. Raises `ConfigurationError` when the candidate is not monitored as a shadow, or a limit is no
    positive number.

    >>> from otel_ml import Monitor
    >>> candidate = Monitor(model="churn", version="4", role="shadow").wrap(lambda rows: [1 for _ in rows])
    >>> predict = shadow(lambda rows: [0 for _ in rows], candidate)
    >>> predict([[1.0], [2.0]])
    [0, 0]
    """
    if Settings.from_environment().disabled:
        return primary
    runner = _Runner(primary, candidate, agree, workers=workers, queue=queue, timeout=timeout)
    if inspect.iscoroutinefunction(primary) or inspect.iscoroutinefunction(getattr(primary, "__call__", None)):  # noqa: B004

        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            copied = runner.copied(args, kwargs)
            answer = await primary(*args, **kwargs)
            runner.compare(copied, answer)
            return answer

        return standing_for(awaiting, primary)  # type: ignore[return-value]

    def calling(*args: Any, **kwargs: Any) -> Any:
        copied = runner.copied(args, kwargs)
        answer = primary(*args, **kwargs)
        runner.compare(copied, answer)
        return answer

    return standing_for(calling, primary)  # type: ignore[return-value]


class _Runner:
    """Hands calls over to the candidate's threads and counts how they end."""

    def __init__(
        self, primary: Callable[..., Any], candidate: Callable[..., Any], agree: Agree | None, *, workers: int, queue: int, timeout: float
    ) -> None:
        monitor, known = monitor_of(candidate), monitor_of(primary)
        faults = list(type_faults({"primary": primary, "agree": agree, "workers": workers, "queue": queue, "timeout": timeout}, OF_SHADOW))
        if monitor is None or monitor.role != names.ROLE_SHADOW:
            faults.append(Fault("candidate", "is not monitored as a shadow", 'wrap it: Monitor(..., role="shadow").wrap(candidate)'))
        if faults or monitor is None:
            raise ConfigurationError("otel_ml.shadow", faults)
        self._again = functools.partial(type(self), primary, candidate, agree, workers=workers, queue=queue, timeout=timeout)
        self._counts = monitor._counts  # noqa: SLF001
        self._candidate = candidate
        self._read = (known or monitor).read_answer
        self._agree = agree or _same_meaning(known or monitor, monitor)
        self._timeout = timeout
        self._pool = Pool(workers, queue, patience=min(timeout, 2.0))
        weakref.finalize(self, self._pool.stop)

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it has threads of its own."""
        return self._again, ()

    def copied(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The arguments, safe from a primary that changes them; None where the candidate is to be left out."""
        if self._pool.full:
            return None
        try:
            return copy.deepcopy((args, kwargs))
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._counts.guard.fault(error, "copying the arguments for the shadow")
            return None

    def compare(self, copied: tuple[tuple[Any, ...], dict[str, Any]] | None, answer: Any) -> None:
        """Let the candidate answer too, soon; the ids of the primary's predictions and its trace go along."""
        try:
            if copied is not None:
                args, kwargs = copied
                job = functools.partial(self._run, args, kwargs, copy.deepcopy(answer), time.monotonic() + self._timeout)
                if self._pool.offer(functools.partial(copy_context().run, job)):
                    return
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            self._counts.guard.fault(error, "handing a call to the shadow")
        self._count(names.SHADOW_DROPPED, self._rows(answer))

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any, deadline: float) -> None:
        rows = self._rows(answer)
        if time.monotonic() > deadline:
            self._count(names.SHADOW_DROPPED, rows)
            return
        try:
            other = self._candidate(*args, **kwargs)
            if inspect.isawaitable(other):
                other = _finished(other, deadline - time.monotonic())
        except BaseException:  # noqa: BLE001 - nobody waits for a candidate, whatever it raises
            self._count(names.SHADOW_DROPPED if time.monotonic() > deadline else names.SHADOW_ERROR, rows)
            return
        if time.monotonic() > deadline:
            self._count(names.SHADOW_DROPPED, rows)
            return
        try:
            agreed = np.broadcast_to(np.asarray(self._agree(answer, other), dtype=bool), rows)
        except Exception as error:  # noqa: BLE001 - a comparison that fails is one that did not happen
            self._count(names.SHADOW_ERROR, rows)
            self._counts.guard.fault(error, "comparing with the shadow")
            return
        self._count(names.SHADOW_AGREE, int(agreed.sum()))
        self._count(names.SHADOW_DISAGREE, int((~agreed).sum()))

    def _rows(self, answer: Any) -> int:
        """How many rows an answer is for; one where only the user's `agree` can read it, or the reading would use it up."""
        if is_stream(answer):
            return 1
        try:
            return rows_of(self._read(answer))
        except Exception:  # noqa: BLE001 - telemetry never breaks a prediction
            return 1

    def _count(self, result: str, rows: int) -> None:
        if rows:
            self._counts.count(names.SHADOW_COMPARISONS, rows, result)


def _finished(other: Awaitable[Any], seconds: float) -> Any:
    """What a coroutine returns; cancelled when it takes longer, lest it keeps the thread for ever."""
    import asyncio  # noqa: PLC0415  it takes long to import, and who has a coroutine has it already

    async def within() -> Any:
        return await asyncio.wait_for(other, seconds)

    return asyncio.run(within())


def _same_meaning(primary: Monitor, candidate: Monitor) -> Agree:
    """Whether two answers say the same, each understood by its own model's baseline, or by the other's where it has none."""
    of_primary, of_candidate = _meaning_of(primary, candidate), _meaning_of(candidate, primary)

    def agree(answer: Any, other: Any) -> npt.NDArray[np.bool_]:
        first, second = of_primary(answer), of_candidate(other)
        if first.size != second.size:
            raise ValueError(f"answers of shapes {first.shape} and {second.shape} cannot be compared; give agree=")
        second = second.reshape(first.shape)
        if "f" in (first.dtype.kind, second.dtype.kind):
            same = np.isclose(first.astype(np.float64), second.astype(np.float64), rtol=CLOSE, atol=0, equal_nan=True)
        else:
            same = np.asarray(first == second, dtype=bool)
        rows: npt.NDArray[np.bool_] = np.all(same.reshape(len(first), -1), axis=1)
        return rows

    return agree


def _meaning_of(own: Monitor, other: Monitor) -> Callable[[Any], npt.NDArray[Any]]:
    """Reads the predicted class of each row as text, or the predicted number; the answer itself where no baseline explains it."""
    baseline = next((known for known in (own.baseline, other.baseline) if known is not None and known.prediction is not None), None)
    read = own.read_answer if baseline is own.baseline else AnswerReader(baseline, own.read_answer.output)
    fold = (own if baseline is own.baseline else other)._counts.meaning  # noqa: SLF001
    words = np.array([*(baseline.classes if baseline is not None else ()), names.MISSING, names.OTHER], dtype=object)

    def meaning(answer: Any) -> npt.NDArray[Any]:
        kept = read(answer)
        first = np.atleast_1d(kept[0] if isinstance(kept, tuple) else kept)
        outputs = fold.understand(kept)
        if outputs.value is not None:
            return outputs.value
        if outputs.position is None:
            return first
        meant = words[outputs.position]
        for row in np.flatnonzero(outputs.position == len(words) - 1):
            meant[row] = label_of(first[row][0] if is_scored(first) else first[row])
        return meant

    return meaning
