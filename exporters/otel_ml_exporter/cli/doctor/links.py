"""The links of the path from the process to the pager, and what was found about each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from otel_ml import Baseline
from otel_ml_exporter.alertmanager import Alertmanager
from otel_ml_exporter.cli.pack import carried
from otel_ml_exporter.mixin.promql import MODEL, equal
from otel_ml_exporter.prometheus import Prometheus, Rule
from otel_ml_exporter.remote import Remote, RemoteError

OK: Final = "ok"
BROKEN: Final = "BROKEN"
LOOK: Final = "look"
UNCHECKED: Final = "-"


@dataclass(frozen=True)
class Finding:
    """What is true of a link, and where something is wrong, how to mend it."""

    state: str
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Case:
    """The model, the servers on its path, and the time of the visit."""

    model: str
    prometheus: Prometheus
    alertmanager: Alertmanager
    exporter: Remote | None
    target: Remote | None
    baseline: Baseline | None
    now: float

    @property
    def matcher(self) -> str:
        """The label matcher of the model's series."""
        return equal(MODEL, self.model)

    @cached_property
    def rules(self) -> list[Rule]:
        """What Prometheus has loaded; asked once."""
        return self.prometheus.rules()

    def alerts(self, severity: str) -> list[dict[str, str]]:
        """The labels of the alerts of a severity about the model, as they leave Prometheus; the pack's own where it does not tell."""
        try:
            rules = self.rules
        except RemoteError:
            rules = []
        return carried(self.prometheus, rules, self.model, severity)


@dataclass(frozen=True)
class Check:
    """One link: its name, how it is tested, and the links without which the test says nothing."""

    name: str
    test: Callable[[Case], Finding]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A tested link."""

    name: str
    state: str
    found: str
    mend: str


def ok(found: str) -> Finding:
    """The link holds."""
    return Finding(OK, found)


def broken(found: str, mend: str) -> Finding:
    """The link is broken."""
    return Finding(BROKEN, found, mend)


def look(found: str, mend: str) -> Finding:
    """The link holds, and a person should look at it."""
    return Finding(LOOK, found, mend)


def unchecked(found: str, mend: str = "") -> Finding:
    """Nothing can be said about the link."""
    return Finding(UNCHECKED, found, mend)


def walk(checks: Iterable[Check], case: Case, seen: Callable[[Link], None]) -> list[Link]:
    """Test each link in its order and tell `seen`; what hangs on a broken link is not tested."""
    links: dict[str, Link] = {}
    for check in checks:
        missing = next((name for name in check.needs if links[name].state in (BROKEN, UNCHECKED)), None)
        finding = unchecked(f"depends on: {missing}") if missing else _tested(check, case)
        links[check.name] = Link(check.name, finding.state, finding.found, finding.mend)
        seen(links[check.name])
    return list(links.values())


def _tested(check: Check, case: Case) -> Finding:
    try:
        return check.test(case)
    except RemoteError as error:
        if error.status in (404, 405, 501) and check.needs:
            return unchecked(f"{error}", "ask the server that evaluates the rules")
        found, _, mend = str(error).rpartition("; ")
        return broken(found or mend, mend)
