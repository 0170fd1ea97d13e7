"""Rendering: the committed files are what the command writes, and every file reads well."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from otel_ml_exporter.cli import render as command
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import differing, render, write
from otel_ml_exporter.mixin.yaml_text import MARK
from support import panels_of

ROOT = Path(__file__).parents[3]
DASHBOARDS = sorted((ROOT / "grafana_dashboards").glob("*.json"))
SDK = sys.version_info >= (3, 11)
needs_sdk = pytest.mark.skipif(not SDK, reason="Grafana's SDK needs Python 3.11")
FILES = render("rules", Knobs()) | render("alertmanager", Knobs()) | (render("dashboards", Knobs()) if SDK else {})


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["render", *map(str, arguments)])
    return options.run(options)


@needs_sdk
def test_the_committed_files_are_what_the_command_writes():
    assert run("all", "--check", "-o", ROOT) == 0


@needs_sdk
def test_check_names_each_file_that_differs_and_writes_nothing(tmp_path, capsys):
    assert run("all", "-o", tmp_path) == 0
    assert run("all", "--check", "-o", tmp_path) == 0
    changed, gone = tmp_path / "alert_rules" / "drift.yaml", tmp_path / "grafana_dashboards" / "otel-ml-drift.json"
    changed.write_text(changed.read_text() + "# by hand\n")
    gone.unlink()
    (tmp_path / "alert_rules" / "old.yaml").write_text(f"# {MARK}\n")
    (tmp_path / "alert_rules" / "mine.yaml").write_text("groups: []\n")
    capsys.readouterr()
    assert run("all", "--check", "-o", tmp_path) == 1
    said = capsys.readouterr().err
    assert re.findall(r"(\S+) differs", said) == [str(changed), str(gone), str(tmp_path / "alert_rules" / "old.yaml")]
    assert not gone.exists()


def test_flags_and_a_file_reach_the_rules(tmp_path):
    (tmp_path / "knobs.yaml").write_text("short_window: 30m\n")
    flags = ["--pace", "0.1", "--label", "team=risk", "--no-watchdog", "--selector", 'namespace="prod"']
    assert run("rules", "-o", tmp_path, "--knobs", tmp_path / "knobs.yaml", *flags) == 0
    drift, monitor = ((tmp_path / "alert_rules" / f"{name}.yaml").read_text() for name in ("drift", "monitor"))
    assert 'window="30m"' in drift
    assert "for: 90s" in drift
    assert "team: risk" in drift
    assert 'ml_model_info{namespace="prod"}' in monitor
    assert "Watchdog" not in monitor


def test_a_flag_may_be_repeated_for_a_knob_of_several_values(tmp_path):
    (tmp_path / "knobs.yaml").write_text("group_labels: [cluster]\nseverities: {ModelServiceDown: warning}\n")
    flags = [
        "--group-label",
        "cluster",
        "--group-label",
        "namespace",
        "--severity",
        "ModelFeatureDrift=info",
        "--severity",
        "critical=page",
    ]
    flags += ["--resource-label", "release=kube-prometheus-stack", "--namespace", "ml", "--prefix", "Risk"]
    assert run("rules", "-o", tmp_path, "--format", "operator", "--knobs", tmp_path / "knobs.yaml", *flags) == 0
    drift, serving = ((tmp_path / "alert_rules" / f"{name}.yaml").read_text() for name in ("drift", "serving"))
    assert "by (cluster, namespace, ml_model_name" in drift
    assert "severity: info" in drift
    assert "severity: page" in serving
    assert "alert: RiskServiceDown" in serving
    assert "release: kube-prometheus-stack" in serving


@needs_sdk
def test_all_is_what_a_site_imports_and_nothing_of_our_own_documentation():
    assert {name.split("/")[0] for name in render("all", Knobs())} == {"alert_rules", "grafana_dashboards"}
    assert {name.rpartition("/")[0] for name in render("reference", Knobs())} == {"docs/reference", "docs/reference/registry"}


@needs_sdk
def test_windows_and_labels_agree_everywhere():
    knobs = Knobs(short_window="30m", middle_window="3h", long_window="12h", rate_window="2m")
    text = "\n".join(render("all", knobs).values())
    assert not re.search(r'window=\\?"(1h|6h|24h)|window: (1h|6h|24h)', text)
    assert not re.search(r"\[(5m|1h|24h)\]|increase5m|ratio1h", text)
    recorded = set(re.findall(r"model(?:_version\w*)?:\w+:(?:increase|ratio)(\w+)", text))
    assert recorded == {"2m", "6m", "15m", "_step", "_part", knobs.short_window, knobs.middle_window, knobs.long_window}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_says_that_it_is_generated_and_ends_with_a_newline(name):
    text = FILES[name]
    assert MARK in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_rules_are_written_for_people():
    for text in render("rules", Knobs()).values():
        assert not re.search(r"[&*]id\d+", text)
        assert not re.search(r'expr: "', text)
        assert "\\n" not in text


@pytest.mark.parametrize(("form", "kind"), [("operator", "PrometheusRule"), ("configmap", "ConfigMap")])
def test_kubernetes_resources_hold_the_same_rules(form, kind):
    plain, wrapped = render("rules", Knobs()), render("rules", Knobs(), form=form)
    for name, text in plain.items():
        resource = yaml.safe_load(wrapped[name])
        assert (resource["kind"], resource["metadata"]["name"]) == (kind, f"otel-ml-{Path(name).stem}")
        inside = resource["spec"] if form == "operator" else yaml.safe_load(resource["data"][Path(name).name])
        assert inside == yaml.safe_load(text)


def test_the_operator_is_told_to_scrape_the_exporter():
    resource = yaml.safe_load(render("rules", Knobs(interval="30s"), form="operator")["alert_rules/exporter.servicemonitor.yaml"])
    assert resource["kind"] == "ServiceMonitor"
    assert resource["spec"]["endpoints"] == [{"port": "metrics", "interval": "30s"}]
    services = (ROOT / "deploy" / "kustomize" / "exporter.yaml").read_text(encoding="utf-8")
    assert next(yaml.safe_load_all(services))["metadata"]["labels"] == resource["spec"]["selector"]["matchLabels"]


@needs_sdk
@pytest.mark.parametrize("form", ["operator", "configmap"])
def test_dashboards_travel_in_config_maps_that_the_sidecar_finds(form):
    for name, text in render("dashboards", Knobs()).items():
        resource = yaml.safe_load(render("dashboards", Knobs(), form=form)[name.replace(".json", ".yaml")])
        assert resource["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert resource["data"] == {Path(name).name: text}


def test_the_alertmanager_example_is_a_secret_for_the_operator():
    resource = yaml.safe_load(next(iter(render("alertmanager", Knobs(), form="operator").values())))
    assert resource["kind"] == "Secret"
    assert yaml.safe_load(resource["stringData"]["alertmanager.yaml"])["route"]["receiver"] == "slack"


def test_writing_leaves_no_other_file_and_replaces_the_old_one(tmp_path):
    write({"a/b.yaml": "1\n"}, tmp_path)
    write({"a/b.yaml": "2\n"}, tmp_path)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.yaml"]
    assert differing({"a/b.yaml": "2\n"}, tmp_path) == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_import_unchanged_and_explain_themselves(path):
    text = path.read_text(encoding="utf-8")
    dashboard = json.loads(text)
    assert text == json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert dashboard["uid"] == path.stem
    assert "__inputs" not in dashboard
    assert "${DS_" not in text
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert dashboard["links"]
    panels = list(panels_of(dashboard))
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    for panel in (panel for panel in panels if panel["type"] != "row"):
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["type"] != "heatmap" or panel["options"]["color"]["scheme"] == "Viridis"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_names_of_models_and_features_may_hold_any_character(path):
    """Grafana escapes a value as a pattern only where several may be chosen, and in a link only when asked to."""
    text = path.read_text(encoding="utf-8")
    for variable in json.loads(text)["templating"]["list"]:
        assert variable.get("multi") or f'=~\\"${variable["name"]}' not in text, variable["name"]
    assert set(re.findall(r"\$\{__data\.fields\.\w+(.*?)\}", text)) <= {":percentencode"}
    assert "__all_variables" not in text


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_stay_on_the_grid_and_do_not_overlap(path):
    assert_no_overlap(json.loads(path.read_text(encoding="utf-8"))["panels"])


def assert_no_overlap(panels):
    """Panels of a folded row lie below it when it is opened, so they are on a grid of their own."""
    taken = set()
    for panel in panels:
        assert_no_overlap(panel.get("panels", []))
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_the_feature_variable_never_offers_all():
    dashboard = json.loads((ROOT / "grafana_dashboards" / "otel-ml-drift.json").read_text(encoding="utf-8"))
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["feature"]["includeAll"] is False
    assert "topk(20, " in variables["feature"]["query"]["query"]


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [("rules", 0, ""), ("alertmanager", 0, ""), pytest.param("dashboards", 2, "pip install 'otel-ml[render]'", marks=needs_sdk)],
)
def test_only_dashboards_need_the_grafana_sdk(what, code, said, tmp_path):
    program = (
        "import sys; sys.modules['grafana_foundation_sdk'] = None; from otel_ml_exporter.cli import main; "
        f"sys.exit(main(['render', '{what}', '-o', {str(tmp_path)!r}]))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
