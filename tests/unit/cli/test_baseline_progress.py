"""Progress is for people who watch: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from otel_ml_exporter.cli.baseline.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress("reading") as progress:
        for step in range(5):
            progress.to(step / 4)
    return stream.getvalue()


def test_nothing_is_written_to_a_file(monkeypatch):
    assert shown(monkeypatch, io.StringIO()) == ""


@pytest.mark.parametrize("installed", [True, False])
def test_a_terminal_sees_how_far_it_is_with_and_without_rich(monkeypatch, installed):
    monkeypatch.setenv("TERM", "xterm")
    if not installed:
        for module in [name for name in sys.modules if name.split(".")[0] == "rich"] or ["rich"]:
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, "rich", None)
    written = shown(monkeypatch, Terminal())
    assert "reading" in written
    assert "100" in written
