"""The real parts on loopback: model server, exporter, Prometheus, Alertmanager, and a receiver that plays PagerDuty.

Everything lives in one directory and in child processes; leaving the context ends them all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from otel_ml import OtelMLError
from otel_ml_exporter.demo.receiver import PAGERDUTY, SLACK, Receiver
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render, write
from otel_ml_exporter.programs import find, free_ports

WINDOW: Final = "30s"
INTERVAL: Final = "2s"
SCRAPE: Final = "1s"
WORKERS: Final = 2
PARTS: Final = ("model", "exporter", "prometheus", "alertmanager")
PROMETHEUS = ("prometheus",)
ALERTMANAGER = ("prometheus-alertmanager", "alertmanager")
_GRACE_SECONDS = 10.0


class StackError(OtelMLError):
    """A part of the stack did not start or did not answer; the message says which and shows the end of its log."""


def wait_until(ready: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
    """The first true result of `ready`, asked five times a second; raises `StackError` when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if result := ready():
                return result
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise StackError(f"{what} did not happen within {seconds:.0f} s")


class Stack:
    """Addresses of the running parts and the ways to look at them; made by `running`."""

    def __init__(self, directory: Path, *, paging: bool) -> None:
        self.directory = directory
        self.paging = paging
        self.receiver = Receiver()
        self.http = httpx.Client(timeout=10)
        self._each_anew = httpx.Client(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))
        ports = free_ports(len(PARTS) + WORKERS)
        self.model_url, self.exporter_url, self.prometheus_url, self.alertmanager_url = (f"http://127.0.0.1:{port}" for port in ports[:4])
        self.metrics_ports = ports[4:] if paging else [0] * WORKERS
        self._ports = dict(zip(PARTS, ports, strict=False))
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def baseline(self) -> Path:
        """Where the exporter and the model server find the baseline."""
        return self.directory / "baseline.json"

    def start(self) -> None:
        """Start every part and wait until each answers."""
        self._write_files()
        if self.paging:
            self._start_alertmanager()
            self._start_prometheus()
        self.start_exporter()
        self._start("model", [sys.executable, "-m", "otel_ml_exporter.demo.serve", *self._model_options()])
        self._await("model", f"{self.model_url}/predict", status=405)

    def start_exporter(self) -> None:
        """Start the companion exporter; again, after `stop("exporter")`."""
        configuration = str(self.directory / "exporter.yaml")
        self._start("exporter", [sys.executable, "-m", "otel_ml_exporter.cli", "exporter", "run", "--config", configuration])
        self._await("exporter", f"{self.exporter_url}/healthz")

    def stop(self, name: str, how: int = signal.SIGTERM) -> None:
        """End one part, with what it forked, and wait for it."""
        child = self._children.pop(name)
        child.send_signal(how)
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def close(self) -> None:
        """End everything; the model first, which sends its last reports to the others."""
        for name in PARTS:
            if name in self._children:
                self.stop(name)
        self.receiver.close()
        self.http.close()
        self._each_anew.close()

    def predict(self, rows: list[dict[str, Any]], ids: list[str]) -> dict[str, Any]:
        """The model server's answer; a connection of its own each time, so that the workers share the calls."""
        answer = self._each_anew.post(f"{self.model_url}/predict", json={"rows": rows, "ids": ids})
        answer.raise_for_status()
        return answer.json()  # type: ignore[no-any-return]

    def tell_outcomes(self, model: str, labels: Mapping[str, int]) -> None:
        """Bring the ground truth to the exporter."""
        outcomes = [{"model": model, "prediction_id": key, "label": label} for key, label in labels.items()]
        self.http.post(f"{self.exporter_url}/v1/outcomes", json={"outcomes": outcomes}).raise_for_status()

    def exported(self) -> str:
        """The exporter's `/metrics`."""
        return self.http.get(f"{self.exporter_url}/metrics").text

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query to Prometheus."""
        answer = self.http.get(f"{self.prometheus_url}/api/v1/query", params={"query": expression}).json()
        return answer["data"]["result"]  # type: ignore[no-any-return]

    def firing(self) -> set[str]:
        """The names of the alerts that fire, the Watchdog aside."""
        found = self.query('ALERTS{alertstate="firing", alertname!="Watchdog"}') if self.paging else []
        return {series["metric"]["alertname"] for series in found}

    def pages(self) -> list[dict[str, Any]]:
        """The PagerDuty events delivered so far."""
        return self.receiver.events(PAGERDUTY)

    def _start(self, name: str, command: list[str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(  # noqa: S603 - our own programs and those found on the PATH
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _await(self, name: str, url: str, status: int = 200) -> None:
        def answers() -> bool:
            if self._children[name].poll() is not None:
                raise StackError(f"{name} ended with code {self._children[name].returncode}:\n{self._end_of_log(name)}")
            return self.http.get(url).status_code == status

        try:
            wait_until(answers, f"an answer of {name}")
        except StackError as error:
            raise StackError(f"{error}\n{self._end_of_log(name)}") from error

    def _end_of_log(self, name: str) -> str:
        return "\n".join((self.directory / f"{name}.log").read_text(errors="replace").splitlines()[-15:])

    def _model_options(self) -> list[str]:
        metrics_ports = ",".join(map(str, self.metrics_ports))
        addresses = [f"--port={self._ports['model']}", f"--metrics-ports={metrics_ports}", f"--exporter={self.exporter_url}"]
        return [*addresses, f"--baseline={self.baseline}"]

    def _start_prometheus(self) -> None:
        program = find(PROMETHEUS)
        assert program
        options = [f"--config.file={self.directory / 'prometheus.yml'}", f"--storage.tsdb.path={self.directory / 'prometheus'}"]
        self._start("prometheus", [program, *options, f"--web.listen-address=127.0.0.1:{self._ports['prometheus']}"])
        self._await("prometheus", f"{self.prometheus_url}/-/ready")

    def _start_alertmanager(self) -> None:
        program = find(ALERTMANAGER)
        assert program
        configuration = self.directory / "alert_rules" / "alertmanager" / "alertmanager.example.yaml"
        options = [f"--config.file={configuration}", f"--storage.path={self.directory / 'alertmanager'}", "--cluster.listen-address="]
        self._start("alertmanager", [program, *options, f"--web.listen-address=127.0.0.1:{self._ports['alertmanager']}"])
        self._await("alertmanager", f"{self.alertmanager_url}/-/ready")

    def _write_files(self) -> None:
        """The configuration of each part; rules and routing are what `otel-ml render` gives a user with these knobs."""
        key, slack = self.directory / "pagerduty.key", self.directory / "slack.url"
        key.write_text("demo-routing-key")
        slack.write_text(f"{self.receiver.url}{SLACK}")
        knobs = Knobs(
            short_window=WINDOW,
            long_window=WINDOW,
            rate_window="10s",
            absence_window="1m",
            interval=INTERVAL,
            scrape_interval=SCRAPE,
            stale_after="20s",
            pace=0.005,
            pagerduty_url=f"{self.receiver.url}{PAGERDUTY}",
            pagerduty_key_file=str(key),
            slack_url_file=str(slack),
            watchdog_url=f"{self.receiver.url}/watchdog",
        )
        write(render("rules", knobs) | render("alertmanager", knobs), self.directory)
        self._write_yaml("exporter.yaml", self._exporter_settings())
        self._write_yaml("prometheus.yml", self._prometheus_settings())

    def _write_yaml(self, name: str, content: Mapping[str, Any]) -> None:
        (self.directory / name).write_text(yaml.safe_dump(content, sort_keys=False))

    def _exporter_settings(self) -> dict[str, Any]:
        return {
            "listen": f"127.0.0.1:{self._ports['exporter']}",
            "interval": INTERVAL,
            "windows": [WINDOW],
            "source": {"prometheus": {"url": self.prometheus_url}} if self.paging else {"otlp": {}},
            "store": str(self.directory / "otel-ml.db"),
            "thresholds": {"latency": "2.5s"},
            "models": [{"baseline": self.baseline.name}],
        }

    def _prometheus_settings(self) -> dict[str, Any]:
        def job(name: str, *ports: int) -> dict[str, Any]:
            return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}

        return {
            "global": {"scrape_interval": SCRAPE, "evaluation_interval": INTERVAL},
            "rule_files": [str(self.directory / "alert_rules" / "*.yaml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [self.alertmanager_url.removeprefix("http://")]}]}]},
            "scrape_configs": [job("flights", *self.metrics_ports), job("otel-ml-exporter", self._ports["exporter"])],
        }


@contextmanager
def running(directory: Path, *, paging: bool, prepare: Callable[[Path], None]) -> Iterator[Stack]:
    """A started stack in `directory`; `prepare` writes the baseline to the path it is given. SIGTERM ends it as Ctrl-C does."""
    stack = Stack(directory, paging=paging)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        prepare(stack.baseline)
        stack.start()
        yield stack
    finally:
        stack.close()
        signal.signal(signal.SIGTERM, before)
