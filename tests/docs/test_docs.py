"""What the documentation says is true: its code runs, and every public name is in it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from otel_ml import Baseline
from otel_ml_exporter import config
from otel_ml_exporter.cli import parser
from support import eventually, free_port

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "alert_rules").rglob("*.md")),
]


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ["tutorial.md", "how-to/inputs.md", "how-to/rollout.md", "how-to/traces-and-events.md"])
def test_a_page_runs_as_it_stands(page, tmp_path):
    """Its Python blocks, one after the other in a new process."""
    program = "\n".join(python_blocks(ROOT / "docs" / page)).replace("9464", "0")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_truth_comes_home_as_the_page_says(tmp_path):
    """Its Python block runs, its shell lines reach a running exporter, and its configurations are such."""
    page = ROOT / "docs" / "how-to" / "ground-truth.md"
    shell = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    floors, access = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
    Baseline.from_data([[float(age)] for age in range(100)], model="churn", version="3").save(tmp_path / "churn.json")
    for name in ("exporter.crt", "exporter.key"):
        (tmp_path / name).touch()
    assert [model.limits.threshold("performance") for model in config.parse(floors, tmp_path).models] == [0.92, None]
    assert len(config.parse(access, tmp_path).access.tokens) == 2
    (tmp_path / "labels.csv").write_text("prediction_id,churned\n8f3b,yes\n")
    (tmp_path / "exporter.yaml").write_text(f"listen: 127.0.0.1:{(port := free_port())}\nmodels: [{{baseline: churn.json}}]\n")
    otel_ml = [sys.executable, "-m", "otel_ml_exporter.cli"]
    program = "\n".join((f'otel-ml() {{ {shlex.join(otel_ml)} "$@"; }}', "set -e", *shell)).replace("9469", str(port))
    program = program.replace("labels.csv", f"labels.csv --url http://127.0.0.1:{port}")
    with subprocess.Popen([*otel_ml, "exporter", "run", "--config", str(tmp_path / "exporter.yaml")]) as exporter:
        try:
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200, lambda: "the exporter does not answer")
            done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
        finally:
            exporter.terminate()
    assert done.returncode == 0, done.stderr
    assert '"accepted":2' in done.stdout
    assert "1 rows: 1 waiting" in done.stdout
    subprocess.run([sys.executable, "-c", "\n".join(python_blocks(page))], cwd=tmp_path, check=True)


def test_the_ten_lines_of_the_readme_run(tmp_path):
    """Given the four names that they leave to the reader."""
    given = """
import numpy as np
X_valid = [{"age": float(age)} for age in range(500)]
y_score = np.linspace(0, 1, 500); y_valid = (y_score > 0.5).astype(int)
class model:
    predict_proba = staticmethod(lambda X: np.tile([0.3, 0.7], (len(X), 1)))
"""
    program = given + "\n".join(python_blocks(ROOT / "README.md")) + '\nassert predict([{"age": 3.0}]).shape == (1, 2)\n'
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_command_is_in_the_help_and_in_the_docs():
    told = "\n".join(page.read_text() for page in PAGES)
    done = subprocess.run([sys.executable, "-m", "otel_ml_exporter.cli", "--help"], capture_output=True, text=True, check=True)
    for command in parser()._subparsers._group_actions[0].choices:
        assert f"otel-ml {command}" in told
        assert f"    {command} " in done.stdout
