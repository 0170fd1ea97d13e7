"""Imports point down only, and the plugin brings nothing into a model server but numpy and the OpenTelemetry API."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = sorted((ROOT / "otel_ml").rglob("*.py"))
EXPORTER = sorted((ROOT / "exporters" / "otel_ml_exporter").rglob("*.py"))
FOREIGN = ("otel_ml_exporter", "prometheus_client", "scipy", "pandas", "polars", "pyarrow", "yaml", "sklearn", "opentelemetry.sdk")
PUBLIC_TO_EXPORTER = ("catalogue", "stats", "baseline", "errors", "files")


def imported(path):
    """Every module that a file imports, anywhere in it; `from a import b` gives both `a` and `a.b`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module, package):
    return module == package or module.startswith(f"{package}.")


def name_of(path):
    return str(path.relative_to(ROOT))


def test_importing_the_plugin_brings_in_nothing_heavy():
    code = "import sys, otel_ml; print('\\n'.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "otel_ml.monitor" in modules
    assert [module for module in modules if any(within(module, foreign) for foreign in FOREIGN)] == []


def test_what_few_need_and_takes_long_is_imported_by_those_who_have_it():
    code = "import sys, numpy; before = set(sys.modules); import otel_ml; print('\\n'.join(set(sys.modules) - before))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"asyncio", "numpy.ma"}.isdisjoint(modules)


@pytest.mark.parametrize("path", PLUGIN, ids=name_of)
def test_the_plugin_never_imports_what_it_must_not_need(path):
    assert [module for module in imported(path) if any(within(module, foreign) for foreign in FOREIGN)] == []


@pytest.mark.parametrize("path", EXPORTER, ids=name_of)
def test_the_exporter_uses_only_the_plugin_s_lower_half(path):
    """The demo and the command line are users of the product and may use its public face."""
    parts = path.relative_to(ROOT / "exporters" / "otel_ml_exporter").parts
    of_plugin = [module for module in imported(path) if within(module, "otel_ml")]
    assert not any(part.startswith("_") for module in of_plugin for part in module.split(".")[1:] if part != "__version__")
    if parts[0] in ("demo", "cli", "cli.py"):
        return
    allowed = [f"otel_ml.{name}" for name in PUBLIC_TO_EXPORTER]
    assert [module for module in of_plugin if module != "otel_ml" and not any(within(module, name) for name in allowed)] == []


LEVELS = [
    {
        "errors",
        "catalogue",
        "_at_work",
        "_version",
        "files",
        "_forks",
        "_settings",
        "_streams",
        "_values",
        "_answers",
        "_certainty",
        "_logits",
        "_arrays",
        "_records",
    },
    {"stats", "_binning", "_frames", "_guard", "_heads", "_ids", "_outputs", "_pick", "_pool", "_segment", "_spans"},
    {
        "baseline",
        *(path.stem for path in PLUGIN if path.stem.startswith("_baseline_")),
        "_capture",
        "_capture_derived",
        "_derive",
        "_golden",
        "_layout",
        "_option_types",
        "_reading",
        "_rules",
        "_runs",
    },
    {"_abstain", "_event_features", "_fold", "_gate", "_identity", "_numeric"},
    {"_counts"},
    {"_emit"},
    {"monitor", "_calls", "_events", "_telling", "_wrappers"},
    {"testing", "_shadow", "instrumentation"},
    {"__init__"},
]


@pytest.mark.parametrize("path", PLUGIN, ids=name_of)
def test_inside_the_plugin_imports_point_down(path):
    def level(module):
        (found,) = [number for number, names in enumerate(LEVELS) if module in names]
        return found

    parts = path.relative_to(ROOT / "otel_ml").with_suffix("").parts
    own = [module.split(".")[1] for module in imported(path) if module.startswith("otel_ml.") and module.split(".")[1] != parts[0]]
    modules = {name for names in LEVELS for name in names}
    assert all(level(module) <= level(parts[0]) for module in own if module in modules)
