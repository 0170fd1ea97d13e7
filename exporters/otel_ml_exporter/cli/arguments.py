"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse

from otel_ml_exporter.shape import UnfitError, duration


def seconds(text: str) -> float:
    """A duration."""
    try:
        return duration(text)
    except UnfitError as error:
        raise argparse.ArgumentTypeError(f"{error.problem}; {error.mend}") from None


def moment(text: str) -> float:
    """A time: Unix seconds, or RFC 3339."""
    from otel_ml_exporter.prometheus import unix

    try:
        return float(text)
    except ValueError:
        found = unix(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 2026-01-31T12:00:00Z or Unix seconds")
    return found
