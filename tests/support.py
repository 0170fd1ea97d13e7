"""What tests share: free ports, an OTLP receiver, waiting for something to come true, and a Prometheus and a PostgreSQL of their own."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from otel_ml_exporter.programs import free_ports


def panels_of(dashboard):
    """All panels of a dashboard as Grafana reads it, those of folded rows among them."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


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


def end(process):
    """End a server, by force where it takes a minute."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
    with (directory / "log").open("wb") as log, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        process = subprocess.Popen([program, *options, *more], stdout=log, stderr=log)
        try:
            eventually(lambda: client.get("/-/ready").status_code == 200, (directory / "log").read_text)
            yield client
        finally:
            end(process)


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
            end(process)


def postgresql_program(name):
    """A program of the PostgreSQL server, which Debian keeps off the PATH."""
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    assert found, f"{name} is missing; install it: apt-get install postgresql"
    return found


@contextmanager
def running_postgresql():
    """The URL of a server on loopback; PostgreSQL refuses to run as root, so root hands it to the user of its package."""
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    port = free_port()
    directory = Path(tempfile.mkdtemp())
    if user:
        shutil.chown(directory, "postgres")

    def run(name, *options):
        subprocess.run([postgresql_program(name), *options], cwd=directory, check=True, stdout=subprocess.DEVNULL, **user)

    run("initdb", "-D", "data", "-U", "otel", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory}"
    run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://otel@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
        shutil.rmtree(directory)


@contextmanager
def otlp_receiver():
    """An OTLP/HTTP receiver: its address, and the list of (path, body) that it has received."""
    bodies = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append((self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        server.server_close()


def promtool(*arguments):
    """What promtool says; an assertion that it agrees."""
    program = shutil.which("promtool")
    assert program, "promtool is not on the PATH; install Prometheus (Debian package: prometheus)"
    result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr
