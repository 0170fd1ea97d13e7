"""Answers that come piece by piece: handed on unchanged, timed to their end, and closed as their consumer closes them.

A generator stays a generator: `send`, `throw`, `close` and the value it returns pass through. A consumer that leaves early, or whose
task is cancelled, is no error of the model. Of a streaming response, which holds its chunks in `body_iterator` as Starlette's does,
only the iterator is exchanged. A coroutine or a future that a plain function returns is an answer that comes later. A plain iterator
becomes a generator. Other iterators may be files or connections with a life of their own; they are left alone, and timed until they are
returned.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol

from otel_ml._at_work import AtWork

_KNOWN_TYPES = 1_000
"""Types of answers that are remembered; a program that makes types as it runs must not fill the memory."""

Begin = Callable[..., "tuple[Any, Watcher]"]


class Watcher(Protocol):
    """Who looks at a stream. A stream that is never started runs none of its own code: then its watcher dies without an `end`."""

    at_work: AtWork
    """The context in which a piece is made."""

    def piece(self, item: Any) -> Any:
        """A piece came; what the consumer is given for it."""

    def end(self, error: BaseException | None) -> None:
        """The stream ended, in an error or because its consumer had enough; all but the first call are of no effect."""


class Waiter(Watcher, Protocol):
    """Who waits for an answer of whatever kind."""

    @property
    def judges(self) -> bool:
        """Whether the consumer may be given something else."""

    def whole(self, item: Any, *, replaceable: bool = True) -> Any:
        """The answer came, all at once; what the consumer is given for it, where it is not given the answer already."""


def relay(stream: Iterator[Any], watcher: Watcher) -> Generator[Any, Any, Any]:
    """The pieces of a generator, or of a plain iterator."""
    error: BaseException | None = None
    at_work = watcher.at_work
    try:
        with at_work:
            item = next(stream)
        while True:
            try:
                received = yield watcher.piece(item)
            except GeneratorExit:  # noqa: PERF203 - each piece may be answered in its own way
                if isinstance(stream, GeneratorType):
                    with at_work:
                        stream.close()
                raise
            except BaseException as thrown:
                if not isinstance(stream, GeneratorType):
                    raise
                with at_work:
                    item = stream.throw(thrown)
            else:
                with at_work:
                    item = next(stream) if received is None else stream.send(received)  # type: ignore[attr-defined]
    except StopIteration as end:
        return end.value
    except Exception as raised:
        error = raised
        raise
    finally:
        watcher.end(error)


def relaying(begin: Begin) -> Callable[..., AsyncGenerator[Any, Any]]:
    """An async generator function that hands on the pieces of the stream that `begin` gives with its watcher."""

    async def relayed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        stream, watcher = begin(*args, **kwargs)
        error: BaseException | None = None
        at_work = watcher.at_work
        try:
            with at_work:
                item = await stream.__anext__()
            while True:
                try:
                    received = yield watcher.piece(item)
                except GeneratorExit:  # noqa: PERF203 - each piece may be answered in its own way
                    if isinstance(stream, AsyncGeneratorType):
                        with at_work:
                            await stream.aclose()
                    raise
                except BaseException as thrown:
                    if not isinstance(stream, AsyncGeneratorType):
                        raise
                    with at_work:
                        item = await stream.athrow(thrown)
                else:
                    with at_work:
                        item = await (stream.__anext__() if received is None else stream.asend(received))
        except StopAsyncIteration:
            return
        except Exception as raised:
            error = raised
            raise
        finally:
            watcher.end(error)

    return relayed


_relay_async = relaying(lambda stream, watcher: (stream, watcher))


class _Chunks:
    """A watcher of chunks, which are no predictions."""

    def __init__(self, watcher: Watcher) -> None:
        self.end, self.at_work = watcher.end, watcher.at_work

    def piece(self, item: Any) -> Any:
        return item


def _watched_response(response: Any, watcher: Watcher) -> Any:
    chunks = response.body_iterator
    if hasattr(chunks, "__aiter__"):
        response.body_iterator = _relay_async(chunks if hasattr(chunks, "__anext__") else aiter(chunks), _Chunks(watcher))
    else:
        response.body_iterator = relay(iter(chunks), _Chunks(watcher))
    return response


async def _awaited(answer: Awaitable[Any], watcher: Waiter) -> Any:
    """What a coroutine returns; cancelled by whoever waits for it, such as `asyncio.wait_for`, it is an error."""
    error: BaseException | None = None
    try:
        with watcher.at_work:
            found = await answer
        return watcher.whole(found)
    except BaseException as raised:
        error = raised
        raise
    finally:
        watcher.end(error)


def _watched_future(future: Any, watcher: Waiter) -> Any:
    """The future itself, or one that follows it where its result may be withheld; other kinds than those of Python cannot be followed."""
    if watcher.judges:
        asyncio, futures = (sys.modules.get(name) for name in ("asyncio", "concurrent.futures"))
        if asyncio is not None and asyncio.isfuture(future):
            return asyncio.ensure_future(_awaited(future, watcher), loop=future.get_loop())
        if futures is not None and isinstance(future, futures.Future):
            return _following(future, futures.Future(), watcher)

    def done(ended: Any) -> None:
        error: BaseException | None = None
        try:
            watcher.whole(ended.result(), replaceable=False)
        except BaseException as raised:  # noqa: BLE001 - the future raises it for whoever asks
            error = raised
        watcher.end(error)

    future.add_done_callback(done)
    return future


def _following(future: Any, answer: Any, watcher: Waiter) -> Any:
    """`answer`, which ends as `future` does; whoever cancels it cancels both."""

    def done(ended: Any) -> None:
        error: BaseException | None = None
        try:
            found = watcher.whole(ended.result())
            if answer.set_running_or_notify_cancel():
                answer.set_result(found)
        except BaseException as raised:  # noqa: BLE001 - the future raises it for whoever asks
            error = raised
            if answer.set_running_or_notify_cancel():
                answer.set_exception(raised)
        watcher.end(error)

    answer.add_done_callback(lambda ended: ended.cancelled() and future.cancel())
    future.add_done_callback(done)
    return answer


Watch = Callable[[Any, Waiter], Any]
_watches: dict[type, Watch | None] = {}


def watch_of(answer: Any) -> Watch | None:
    """How to look at an answer that is a stream; None for one that is whole.

    >>> watch_of([0.5]), watch_of(iter([0.5])) is None
    (None, False)
    """
    kind = type(answer)
    try:
        return _watches[kind]
    except KeyError:
        if len(_watches) >= _KNOWN_TYPES:
            _watches.clear()
        _watches[kind] = found = _watch_of_type(kind, answer)
        return found


def is_stream(answer: Any) -> bool:
    """Whether an answer comes later or piece by piece, so that who reads it takes it from its consumer.

    >>> is_stream([0.5]), is_stream(iter([0.5]))
    (False, True)
    """
    return any(hasattr(type(answer), name) for name in ("__next__", "__anext__", "__await__")) or watch_of(answer) is not None


def _watch_of_type(kind: type, answer: Any) -> Watch | None:
    if issubclass(kind, AsyncGeneratorType):
        return _relay_async
    if hasattr(kind, "__next__") and kind.__module__ in ("builtins", "itertools"):
        return relay
    if issubclass(kind, CoroutineType):
        return _awaited
    try:
        if hasattr(answer, "add_done_callback"):
            return _watched_future
        return _watched_response if hasattr(answer, "body_iterator") else None
    except Exception:  # noqa: BLE001 - a user's __getattr__ may raise anything
        return None
