"""The wheel and the sdist, as somebody who has nothing yet would install them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from the sdist, so that both are known to be whole."""
    out = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--outdir", out, ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    assert len(list(out.glob("*.tar.gz"))) == 1
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """An environment with the plain plugin and nothing else."""
    place = tmp_path_factory.mktemp("empty")
    assert run(sys.executable, "-m", "venv", place).returncode == 0
    installed = run(place / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    assert installed.returncode == 0, installed.stderr
    return place / "bin"


def test_the_wheel_holds_two_packages_and_their_types(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"otel_ml", "otel_ml_exporter"}
    assert {"otel_ml/py.typed", "otel_ml_exporter/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_plain_plugin_needs_numpy_and_the_opentelemetry_api_only(environment):
    listed = run(environment / "python", "-m", "pip", "list", "--format=freeze").stdout
    names = {line.split("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    assert names - {"pip", "setuptools", "wheel"} == {"otel-ml", "numpy", "opentelemetry-api", "typing-extensions"}


def test_the_plain_plugin_imports_and_counts(environment, tmp_path):
    program = (
        "import otel_ml; m = otel_ml.Monitor(model='churn', version='3'); m.wrap(lambda rows: [1])([[1.0]]); "
        "print(otel_ml.testing.collect(m).rows, otel_ml.stats.psi([5, 5], [5, 5]).value)"
    )
    done = run(environment / "python", "-c", program, cwd=tmp_path)
    assert done.stdout.split() == ["1", "0.0"], done.stderr


def test_the_command_line_helps_without_extras_and_names_the_one_that_is_missing(environment, tmp_path):
    assert "baseline" in run(environment / "otel-ml", "--help").stdout
    (tmp_path / "exporter.yaml").write_text("models: []")
    for command, extra in (
        (("exporter", "run", "--config", "exporter.yaml"), "exporter"),
        (("demo",), "demo"),
        (("doctor", "--model=m"), "exporter"),
        (("backtest",), "exporter"),
        (("render", "rules", "-o", "out"), "render"),
        (("baseline", "build", "x.csv", "-o", "b.json", "--model=m", "--version=1"), "data"),
    ):
        done = run(environment / "otel-ml", *command, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert f"pip install 'otel-ml[{extra}]'" in done.stderr
