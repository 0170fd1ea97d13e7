"""A newcomer imports the pack with nothing but the commands of the page on being on call."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import yaml

from support import eventually, running_alertmanager, running_prometheus

ROOT = Path(__file__).parents[2]


def steps():
    """The blocks of the page from the files to Grafana; those that are files as commands that write them."""
    page = (ROOT / "docs" / "how-to" / "on-call.md").read_text()
    part = page.partition("## Import in five minutes")[2].partition("**Kubernetes.**")[0]
    for language, block in re.findall(r"```(\w+)\n(.*?)```", part, re.DOTALL):
        file = re.match(r"# (/\S+)\n", block)
        yield f"mkdir -p $(dirname {file[1]})\ncat > {file[1]} <<'END'\n{block}END\n" if file and language == "yaml" else block


def test_the_commands_of_the_page_put_rules_routes_and_dashboards_into_running_servers(tmp_path):
    """As they stand, but for the root of the file system, the owner of files, ports, `pip`, and who reloads the servers."""
    etc = tmp_path / "etc" / "prometheus"
    etc.mkdir(parents=True)
    empty = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    with running_alertmanager(etc, empty) as alertmanager, running_prometheus(etc, {}, "--web.enable-lifecycle") as prometheus:
        reload = f"""systemctl() {{
            case $2 in prometheus) curl -fsX POST {prometheus.base_url}/-/reload ;; *) curl -fsX POST {alertmanager}/-/reload ;; esac
        }}
        """
        program = reload + "".join(steps())
        program = re.sub(r".*(-m venv|bin/pip|export PATH).*\n", "", program)
        for written, here in ((" /etc/", f" {tmp_path}/etc/"), ("=/etc/", f"={tmp_path}/etc/"), (" -o prometheus", "")):
            program = program.replace(written, here)
        program = program.replace("localhost:9093", urlsplit(alertmanager).netloc)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ROUTING_KEY": "key",
            "WEBHOOK_URL": "url",
        }
        done = subprocess.run(["bash", "-eu", "-c", program], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "\npagerduty\n" in done.stdout

        def groups():
            return {group["name"] for group in prometheus.get("/api/v1/rules").json()["data"]["groups"]}

        rendered = [yaml.safe_load(file.read_text()) for file in (ROOT / "alert_rules").glob("*.yaml")]
        assert groups() == {group["name"] for document in rendered for group in document["groups"]}
        routes = yaml.safe_load(httpx.get(f"{alertmanager}/api/v2/status").json()["config"]["original"])["route"]["routes"]
        assert "pagerduty" in [route["receiver"] for route in routes]
        eventually(lambda: prometheus.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"], groups)
        provider = yaml.safe_load((tmp_path / "etc" / "grafana/provisioning/dashboards/otel-ml.yaml").read_text())["providers"][0]
        assert list(Path(provider["options"]["path"]).glob("*.json"))
