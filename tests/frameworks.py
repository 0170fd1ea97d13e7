"""Run the frameworks' tests on the oldest and the newest versions that are supported, each in an environment of its own: `make frameworks`.

PyTorch is tested where its build without CUDA can be had for that Python, and said to be absent where not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from interpreters import find

ROOT = Path(__file__).parents[1]
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"

OLDEST = {
    "numpy": "1.26.4",
    "pandas": "2.1.4",
    "scipy": "1.11.4",
    "opentelemetry-sdk": "1.37.0",
    "opentelemetry-distro": "0.58b0",
    "opentelemetry-instrumentation": "0.58b0",
    "scikit-learn": "1.3.0",
    "xgboost": "1.7.6",
    "lightgbm": "4.0.0",
    "onnx": "1.15.0",
    "onnxruntime": "1.16.0",
    "keras": "3.0.0",
    "tensorflow-cpu": "2.16.1",
    "tf-keras": "2.16.0",
    "transformers": "4.40.0",
    "jax": "0.4.30",
    "jaxlib": "0.4.30",
    "mlflow-skinny": "2.9.0",
}
NEWEST = [
    *(name if name != "xgboost" else "xgboost-cpu" for name in OLDEST if name not in ("tensorflow-cpu", "tf-keras", "transformers")),
    *(f"{name}; python_version < '3.14'" for name in ("tensorflow-cpu", "tf-keras", "transformers<5")),
]
TESTS = ["hypothesis", "httpx", "prometheus-client", "pytest", "pytest-timeout", "pyyaml"]
RUNS = (
    ("oldest", ("3.10", "3.11"), [f"{name}=={version}" for name, version in OLDEST.items()], "2.1.0"),
    ("newest", ("3.13", "3.12", "3.11"), NEWEST, "2.13.0"),
)


def say(line: str) -> None:
    """One line, at once, for a reader who waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(name: str, pythons: tuple[str, ...], packages: list[str], torch: str) -> bool:
    """Make or renew one environment and run the tests in it; prints what was tested."""
    interpreter = next(filter(None, map(find, pythons)), sys.executable)
    python = ROOT / f".venv-{name}" / "bin" / "python"
    if not python.exists():
        subprocess.run([interpreter, "-m", "venv", python.parents[1]], check=True)
    install = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*install, "--upgrade", "pip"], check=True)
    subprocess.run([*install, "-e", ROOT, *packages, *TESTS], check=True)
    if subprocess.run([*install, f"torch=={torch}+cpu"], capture_output=True, check=False).returncode:
        subprocess.run([*install, f"torch=={torch}", "--index-url", TORCH_INDEX], capture_output=True, check=False)
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "tests/unit/instrumentation", "tests/tensors.py"], cwd=ROOT, check=False
    )
    listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True, text=True).stdout
    versions = {package["name"].replace("_", "-"): package["version"] for package in json.loads(listed)}
    say(f"{name}: Python {subprocess.run([python, '-V'], capture_output=True, check=True, text=True).stdout.split()[1]}")
    for package in (
        "scikit-learn",
        "xgboost",
        "xgboost-cpu",
        "lightgbm",
        "onnxruntime",
        "torch",
        "keras",
        "tensorflow-cpu",
        "jax",
        "transformers",
        "mlflow-skinny",
    ):
        if package in versions or package == "torch":
            say(f"  {package:16}{versions.get(package, 'not tested: no build without CUDA for this Python here')}")
    say(f"  {'tests':16}{'passed' if done.returncode == 0 else 'FAILED'}")
    return done.returncode == 0


if __name__ == "__main__":
    passed = [run(*each) for each in RUNS]  # all of them, whatever the first says
    sys.exit(not all(passed))
