"""Which model and version a monitor watches, and what is wrong with its options."""

from __future__ import annotations

from collections.abc import Iterable

from otel_ml import catalogue as names
from otel_ml._spans import MODES
from otel_ml.baseline import Baseline
from otel_ml.errors import ConfigurationError, Fault


def identity(baseline: Baseline | None, model: str | None, version: str | None, others: Iterable[Fault]) -> tuple[str, str]:
    """Model and version; raises `ConfigurationError` with every fault, `others` among them."""
    faults = []
    known = (("model", model, baseline and baseline.model), ("version", version, baseline and baseline.version))
    for name, given, stored in known:
        if (given is None or not str(given)) and stored is None:
            faults.append(Fault(name, "is absent", f"give a baseline, or model= and version= (missing: {name}=)"))
        elif given is not None and stored is not None and str(given) != stored:
            mend = f"leave {name}= out, or give the baseline that belongs to it"
            faults.append(Fault(name, f"is {given!r} but the baseline is of {stored!r}", mend))
    faults += others
    if faults:
        raise ConfigurationError("the monitor", faults)
    return (baseline.model, baseline.version) if baseline is not None else (str(model), str(version))


def faults_of_role(role: str, spans: str | None) -> Iterable[Fault]:
    """What is wrong with the options `role` and `spans`."""
    if role not in names.ROLES:
        yield Fault("role", f"is {role!r}", f"give one of {', '.join(names.ROLES)}")
    if spans is not None and spans not in MODES:
        yield Fault("spans", f"is {spans!r}", f"give one of {', '.join(MODES)}")
    if spans == "current" and role == names.ROLE_SHADOW:
        yield Fault("spans", "is 'current' for a shadow", "the current span is the primary's; give 'own'")
