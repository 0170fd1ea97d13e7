"""A few threads that work through a short queue, and refuse what does not fit."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from otel_ml._forks import renew_in_children

Job = Callable[[], object]


class Pool:
    """Runs jobs off the caller's path; threads start with the first job, and a forked child has its own.

    The threads are daemons: a job that hangs does not keep the interpreter alive for more than `patience` seconds.
    """

    def __init__(self, workers: int, size: int, patience: float) -> None:
        self._workers = workers
        self._size = size
        self._patience = patience
        renew_in_children(self)

    def renew(self) -> None:
        """Start over: the threads and the jobs of the parent are not the child's."""
        self._lock = threading.RLock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def full(self) -> bool:
        """Whether a job would be refused now."""
        return self._jobs.qsize() >= self._size

    def offer(self, job: Job) -> bool:
        """Run `job` when its turn comes; False where the queue is full. The job must not raise."""
        with self._lock:
            if self.full:
                return False
            if not self._threads:  # of the kind of its threads, which are greenlets where gevent has patched them since
                self._jobs = queue.SimpleQueue()
            if len(self._threads) < self._workers:
                thread = threading.Thread(target=_work, args=(self._jobs,), name="otel-ml-shadow", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._jobs.put(job)
            return True

    def stop(self) -> None:
        """Forget the waiting jobs and wait for those that run, `patience` seconds for all together."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        with self._lock:
            threads, self._threads, jobs = self._threads, [], self._jobs
        for _ in threads:
            jobs.put(None)
        end = time.monotonic() + self._patience
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))


def _work(jobs: queue.SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        with contextlib.suppress(BaseException):
            job()
        del job  # what it holds must not wait for the next one
