"""The how-to page of baselines runs as it stands, but for the files and the server that it leaves to the reader."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from otel_ml import Baseline
from otel_ml_exporter.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "baseline.md").read_text()


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    baseline = Baseline.load("churn-3.json")
    assert [feature.name for feature in baseline.features] == ["age", "plan"]
    assert baseline.feature("age").importance > 0.99
    Path("churn-2.json").write_bytes(Path("churn-3.json").read_bytes())

    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    ran = [command for command in commands if "data/*" not in command and "prometheus" not in command]
    assert len(ran) == 6
    for command in sorted(ran, key=lambda line: "build" in line):
        assert main(shlex.split(command)[1:]) == 0, command
        assert capsys.readouterr().out
