"""What a forked child starts anew: counts that its parent reports, and locks whose holder does not exist in the child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """Something with state that a forked child must not inherit."""

    def renew(self) -> None:
        """Make the locks, and where it counts the counts, as at the beginning."""


_ALL: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_children(thing: Renewable) -> None:
    """Renew `thing` now, and in each forked child for as long as it lives."""
    thing.renew()
    _ALL.add(thing)


def _start_child() -> None:
    for thing in list(_ALL):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_child)
