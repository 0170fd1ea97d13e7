"""What the environment says: whether to count at all, and whether faults of the plugin raise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class Settings:
    """`strict`: a fault inside the plugin raises (OTEL_ML_STRICT). `disabled`: nothing is counted (OTEL_SDK_DISABLED).

    `hash_key` is the secret that features in events are hashed with (OTEL_ML_HASH_KEY).
    """

    strict: bool = False
    disabled: bool = False
    hash_key: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables; unset and anything but 1, true, yes and on mean no."""
        strict, disabled = _flag(environment, "OTEL_ML_STRICT"), _flag(environment, "OTEL_SDK_DISABLED")
        return cls(strict, disabled, environment.get("OTEL_ML_HASH_KEY", ""))


def _flag(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in _TRUE
