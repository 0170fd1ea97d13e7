"""Ask, judge, and ask again while there is too little evidence."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import Final

from otel_ml import catalogue as names
from otel_ml_exporter.cli import models
from otel_ml_exporter.cli.baseline.progress import Progress
from otel_ml_exporter.cli.exporter import table
from otel_ml_exporter.cli.gate import judge
from otel_ml_exporter.cli.gate.counts import VersionError, served, version_of
from otel_ml_exporter.cli.gate.judge import Judgement
from otel_ml_exporter.cli.models import UnknownModelError
from otel_ml_exporter.cli.servers import prometheus
from otel_ml_exporter.mixin.delivery import ERRORS, LATENCY, PREDICTIONS, Limits
from otel_ml_exporter.prometheus import Prometheus
from otel_ml_exporter.remote import RemoteError

EXIT: Final = {judge.PASS: 0, judge.FAIL: 1, judge.INCONCLUSIVE: 3}
_CHECKS: Final = {ERRORS: judge.errors, LATENCY: judge.latency, PREDICTIONS: judge.predictions}
_POLL = 5.0


def run(options: argparse.Namespace) -> int:
    """Print the judgements; 0 pass, 1 fail, 3 inconclusive."""
    end = time.monotonic() + options.wait
    with prometheus(options) as server, Progress("waiting for evidence") as progress:
        while True:
            judgements = _judged(server, options)
            verdict = judge.overall(judgements)
            left = end - time.monotonic()
            if verdict != judge.INCONCLUSIVE or left <= 0:
                break
            progress.to(1 - left / options.wait)
            time.sleep(min(_POLL, left))
    if options.json:
        print(json.dumps({"model": options.model, "verdict": verdict, "checks": [asdict(each) for each in judgements]}))
    else:
        reasons = {each.reason for each in judgements}
        if len(reasons) > 1:
            print(table([(each.check, each.verdict, each.reason) for each in judgements]))
        print(f"gate: {verdict}" + (f", {reasons.pop()}" if len(reasons) == 1 else ""))
    return EXIT[verdict]


def _judged(server: Prometheus, options: argparse.Namespace) -> list[Judgement]:
    """The judgement of each check; inconclusive where the versions or Prometheus cannot be had."""
    limits = Limits(options.minimum, options.error_margin, options.latency_margin, options.quantile, options.psi)
    try:
        models.check(server, options.model, time.time())
        canary, stable = (
            served(server, options.model, version_of(server, options.model, role, given), options.window)
            for given, role in ((options.canary, names.ROLE_CANARY), (options.stable, names.ROLE_STABLE))
        )
    except (RemoteError, UnknownModelError, VersionError) as error:
        return [Judgement(check, judge.INCONCLUSIVE, str(error)) for check in options.checks]
    if canary.version == stable.version:
        told = f"version {canary.version} is given as canary and as stable; there is nothing to compare"
        return [Judgement(check, judge.INCONCLUSIVE, told) for check in options.checks]
    return [_CHECKS[check](canary, stable, limits) for check in options.checks]
