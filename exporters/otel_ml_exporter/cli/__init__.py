"""The command line, `otel-ml`: one module a command, each importing what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from otel_ml import ConfigurationError, OtelMLError, __version__
from otel_ml_exporter.cli import alerts, backtest, baseline, demo, doctor, exporter, gate, outcomes, render, triage
from otel_ml_exporter.cli.words import plain

NO, USAGE, PIPE = 1, 2, 141
_EPILOG = "Exit codes: 0 done; 1 the answer is no (invalid, unhealthy, drifted); 2 wrong usage."
_COMMANDS = {
    demo: "demo",
    baseline: "data",
    exporter: "exporter",
    render: "render",
    doctor: "exporter",
    alerts: "exporter",
    backtest: "exporter",
    gate: "exporter",
    outcomes: "all",
    triage: "exporter",
}
"""Each command and the extra that it needs."""


def parser() -> argparse.ArgumentParser:
    """The whole command line; its help is part of the documentation."""
    root = argparse.ArgumentParser(
        prog="otel-ml",
        description="Watch machine-learning models in production with the observability stack you already run.",
        epilog=_EPILOG,
    )
    root.add_argument("--version", action="version", version=f"otel-ml {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command, extra in _COMMANDS.items():
        command.add_parser(commands)
        added = list(commands.choices.values())[-1]
        added.set_defaults(extra=extra, invalid=USAGE)
        added.epilog = added.epilog or _EPILOG
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors go to stderr and say how to fix them."""
    try:
        try:
            return _run(parser().parse_args(arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE


def _run(options: argparse.Namespace) -> int:
    try:
        code: int = options.run(options)
    except BrokenPipeError:
        raise
    except ConfigurationError as error:
        return _complain(str(error), options.invalid)
    except OtelMLError as error:
        return _complain(str(error), NO)
    except ModuleNotFoundError as error:
        if (error.name or "otel_ml").startswith("otel_ml"):
            raise
        return _complain(f"this command needs {error.name}; install it with: pip install 'otel-ml[{options.extra}]'", USAGE)
    except OSError as error:
        return _complain(f"{error.filename or 'file'}: {error.strerror or error}; check the path and its permissions", USAGE)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    return code


def _complain(message: str, code: int) -> int:
    print(f"otel-ml: {plain(message, keep=chr(10))}", file=sys.stderr)
    return code
