"""`otel-ml gate`: may the new version of a model take over from the stable one."""

from __future__ import annotations

import argparse

from otel_ml_exporter.cli.arguments import number, said, seconds, whole
from otel_ml_exporter.cli.servers import add_access, add_prometheus
from otel_ml_exporter.mixin.delivery import CHECKS, Limits


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `gate`."""
    limits = Limits()
    parser = commands.add_parser(
        "gate",
        help="compare a canary with the stable version: pass, fail, or not enough evidence",
        description="Compare errors, latency and predictions of two versions that serve side by side. A difference fails the gate "
        "when it matters and chance does not explain it.",
        epilog="Exit codes: 0 pass; 1 fail, with the reason; 2 wrong usage; 3 inconclusive: a version down, too few calls, no Prometheus.",
    )
    parser.add_argument("--model", type=said, required=True)
    parser.add_argument("--canary", metavar="VERSION", help="default: the version that serves with the role canary")
    parser.add_argument("--stable", metavar="VERSION", help="default: the version that serves with the role stable")
    add_prometheus(parser)
    add_access(parser)
    parser.add_argument("--window", type=seconds, default=600.0, metavar="DURATION", help="how far to look back (default: 10m)")
    parser.add_argument("--wait", type=seconds, default=0.0, metavar="DURATION", help="retry for so long while inconclusive")
    parser.add_argument("--checks", type=_checks, default=CHECKS, metavar="A,B", help=f"default: {','.join(CHECKS)}")
    for name, kind, text in (
        ("minimum", whole(1), "calls and predictions that each version needs"),
        ("error_margin", number(0, 1), "share of failed calls that does not matter"),
        ("latency_margin", number(0), "share of the stable version's latency that does not matter"),
        ("quantile", number(0.001, 0.999), "of the latency"),
        ("psi", number(0), "PSI of predictions that does not matter"),
    ):
        flag, usual = f"--{name.replace('_', '-')}", getattr(limits, name)
        parser.add_argument(flag, type=kind, default=usual, metavar="N", help=f"{text} (default: {usual:g})")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_run)


def _checks(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if not chosen or not set(chosen) <= set(CHECKS):
        raise argparse.ArgumentTypeError(f"{text!r}: choose from {','.join(CHECKS)}")
    return chosen


def _run(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.gate.run import run

    return run(options)
