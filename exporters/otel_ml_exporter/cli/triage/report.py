"""What a report says: plain values, which every form of it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A version that serves: its role, replicas, and the baseline in whose bins it counts; `since` is None where that is long ago."""

    version: str
    role: str
    baseline: str
    replicas: float
    since: float | None


@dataclass(frozen=True)
class Firing:
    """An alert about the model; `muted` says by what, and is empty where somebody is told.

    `severity` is the site's word, `level` ours for it: `critical` pages, `warning` is a ticket.
    """

    name: str
    severity: str
    level: str
    model: str
    state: str
    since: float
    version: str
    feature: str
    description: str
    action: str
    runbook: str
    dashboard: str
    muted: str


@dataclass(frozen=True)
class Moved:
    """A score beside what it is held to.

    `real` where it is over its limit and over what chance gives; of a feature it is the exporter's verdict, which knows ranges too.
    """

    what: str
    version: str
    value: float
    limit: float | None
    floor: float | None
    samples: float | None
    since: float | None
    real: bool
    notes: Sequence[str]


@dataclass(frozen=True)
class Change:
    """Something that began or ended at a Unix time; after `after`, where it is known no better."""

    at: float
    what: str
    after: float | None = None


@dataclass(frozen=True)
class Commands:
    """What the reader may run next, ready for a shell."""

    doctor: str
    silence: str


@dataclass(frozen=True)
class Report:
    """The incident report of a model at a Unix time; `window` is that of the scores, `gaps` what could not be asked.

    The past was looked at for `back` seconds, every `step` seconds: the times of scores and replicas are known no better. `seen` is when
    the model reported last, None where that is longer ago. `watched` says whether the pack's alerts are loaded and could be asked for.
    """

    model: str
    at: float
    step: float
    back: float
    window: str
    seen: float | None
    watched: bool
    versions: Sequence[Version]
    serving: Sequence[str]
    alerts: Sequence[Firing]
    moved: Sequence[Moved]
    changes: Sequence[Change]
    gaps: Sequence[str]

    @property
    def silent(self) -> bool:
        """Whether the model reports nothing now."""
        return not self.versions

    @property
    def wrong(self) -> bool:
        """Whether a person should look: something fires or moved, or nobody would know."""
        moved = any(moved.real for moved in self.moved)
        return self.silent or not self.watched or moved or any(alert.state == "firing" for alert in self.alerts)

    @property
    def actions(self) -> Sequence[str]:
        """What to do, the worst first, each once."""
        return list(dict.fromkeys(alert.action for alert in self.alerts if alert.action))
