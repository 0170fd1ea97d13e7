"""Hypothesis draws the same examples each time where a merge hangs on it, and new ones everywhere else."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", patient, derandomize=True)
settings.register_profile("local", patient)
settings.load_profile("ci" if os.environ.get("CI") else "local")
