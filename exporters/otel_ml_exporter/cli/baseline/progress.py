"""How far long work has come, on a terminal; silent elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Progress:
    """A bar on stderr, by rich where it is installed, else a percentage."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._said = -1

    def __enter__(self) -> Progress:  # noqa: PYI034 - Self is not in Python 3.10
        if self._terminal:
            try:
                from rich.console import Console
                from rich.progress import Progress as Bar
            except ModuleNotFoundError:
                return self
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._bar.add_task(self._what, total=1.0)
        return self

    def to(self, share: float) -> None:
        """Show that this share of the work is done."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=share)
        elif self._terminal and int(share * 100) > self._said:
            self._said = int(share * 100)
            print(f"\r{self._what} {self._said:3d} %", end="", file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._terminal:
            print("\r" + " " * (len(self._what) + 6) + "\r", end="", file=sys.stderr, flush=True)
