"""The Kustomize base and the Compose file name what there is, and the configurations beside them are valid."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from otel_ml_exporter.config import load

ROOT = Path(__file__).parents[3]
KUSTOMIZE, COMPOSE = ROOT / "deploy" / "kustomize", ROOT / "deploy" / "compose"


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("folder", "suffix"), [("alert_rules", ".yaml"), ("grafana_dashboards", ".json")])
def test_the_base_holds_every_rendered_file(folder, suffix):
    named = [name for each in read(ROOT / folder / "Kustomization")["configMapGenerator"] for name in each["files"]]
    assert sorted(named) == sorted(path.name for path in (ROOT / folder).glob(f"*{suffix}"))


def test_the_base_names_resources_that_exist():
    base = read(KUSTOMIZE / "kustomization.yaml")
    assert all((KUSTOMIZE / name).exists() for name in base["resources"])
    kinds = [document["kind"] for document in yaml.safe_load_all((KUSTOMIZE / "exporter.yaml").read_text(encoding="utf-8"))]
    assert kinds == ["Service", "StatefulSet"]


@pytest.mark.parametrize("path", [KUSTOMIZE / "exporter.config.yaml", COMPOSE / "exporter.yaml"], ids=lambda path: path.parent.name)
def test_the_exporter_understands_its_configuration(path):
    assert load(path).port == 9469


def test_compose_mounts_files_that_exist():
    services = read(COMPOSE / "compose.yaml")["services"]
    mounts = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert all((COMPOSE / mount).exists() for mount in mounts if mount.startswith("."))
    assert {"prometheus", "alertmanager", "grafana", "exporter"} == set(services)


def test_prometheus_understands_the_configuration_of_compose(tmp_path):
    program = shutil.which("promtool")
    assert program, "promtool is not on the PATH; install Prometheus (Debian package: prometheus)"
    text = (COMPOSE / "prometheus.yml").read_text(encoding="utf-8").replace("/etc/otel-ml/alert_rules/*", str(ROOT / "alert_rules" / "*"))
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    done = subprocess.run([program, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* rule files found", done.stdout)
