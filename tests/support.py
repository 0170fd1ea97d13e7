"""What tests of several folders share: free ports, waiting for something to come true, and a Prometheus of their own."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager

import httpx
import pytest
import yaml

from otel_ml_exporter.programs import free_ports


def free_port():
    """A port of 127.0.0.1 that nobody listens on."""
    return free_ports(1)[0]


def eventually(holds, otherwise, seconds=40):
    """Wait until `holds`, or fail with what `otherwise` says."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(str(otherwise()))


@contextmanager
def running_prometheus(directory, settings, *more):
    """A Prometheus with these settings, its files in `directory`; its HTTP API as a client."""
    program = shutil.which("prometheus")
    assert program, "prometheus is not on the PATH; install it (Debian package: prometheus)"
    (directory / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_port()
    options = [
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("wb") as log, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        process = subprocess.Popen([program, *options, *more], stdout=log, stderr=log)
        try:
            eventually(lambda: client.get("/-/ready").status_code == 200, (directory / "log").read_text)
            yield client
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextmanager
def running_alertmanager(directory, config, *options):
    """An Alertmanager with this configuration, its files in `directory`; its URL."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "Alertmanager is not on the PATH; install it (Debian package: prometheus-alertmanager)"
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    given = [f"--config.file={directory}/alertmanager.yml", f"--storage.path={directory}/nflog", f"--web.listen-address={url[7:]}"]
    with (directory / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen([program, *given, "--cluster.listen-address=", *options], stdout=log, stderr=log)
        try:
            eventually(lambda: httpx.get(f"{url}/-/ready").status_code in (200, 401), (directory / "alertmanager.log").read_text)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=10)
