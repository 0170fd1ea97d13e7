"""A Prometheus of our own, over the samples of an OpenMetrics file; gone when the replay ends."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from otel_ml.errors import OtelMLError
from otel_ml_exporter.programs import find, free_ports
from otel_ml_exporter.prometheus import Prometheus
from otel_ml_exporter.remote import RemoteError

_SECONDS = 60.0


class ScratchError(OtelMLError):
    """The scratch Prometheus cannot be filled or started."""


@contextmanager
def filled(file: Path) -> Iterator[Prometheus]:
    """A Prometheus on loopback that has the samples of an OpenMetrics file, and nothing else. Raises `ScratchError`."""
    promtool, prometheus = _program("promtool"), _program("prometheus")
    with TemporaryDirectory(prefix="otel-ml-backtest-") as text:
        directory = Path(text)
        made = subprocess.run(  # noqa: S603 - Prometheus' own program, and a path
            [promtool, "tsdb", "create-blocks-from", "openmetrics", str(file), str(directory / "data")],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            last = (made.stderr or made.stdout).strip().splitlines()[-1:]
            raise ScratchError(
                f"{file}: promtool cannot read it as OpenMetrics ({''.join(last)}); every sample needs a time, the end # EOF"
            )
        (directory / "prometheus.yml").write_text("{}\n")
        port = free_ports(1)[0]
        options = [
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen([prometheus, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # noqa: S603 - as above
        try:
            with Prometheus("the scratch Prometheus", f"http://127.0.0.1:{port}", timeout=300) as server:
                _await(server, process, directory / "log")
                yield server
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def times(file: Path) -> tuple[float, float]:
    """The first and the last time of an OpenMetrics file, in Unix seconds. Raises `ScratchError`."""
    first, last = math.inf, -math.inf
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("#") or not line.strip():
                continue
            try:
                at = float(line.split("} ")[-1].split()[-1]) if "}" in line else float(line.split()[2])
            except (IndexError, ValueError):
                raise ScratchError(f"{file}: a sample has no time: {line.strip()[:80]!r}; write `name{{labels}} value seconds`") from None
            first, last = min(first, at), max(last, at)
    if first > last:
        raise ScratchError(f"{file} has no sample; give the history of the metrics that the rules read")
    return first, last


def _program(name: str) -> str:
    path = find((name,))
    if path is None:
        raise ScratchError(f"{name} is not on the PATH, and a file is replayed in a Prometheus; install it (Debian package: prometheus)")
    return path


def _await(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        if _ready(server):
            return
        time.sleep(0.1)
    raise ScratchError("the scratch Prometheus does not start:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-5:]))


def _ready(server: Prometheus) -> bool:
    try:
        server.text("-/ready")
    except RemoteError:
        return False
    return True
