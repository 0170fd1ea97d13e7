"""The exporter as a process: listens, evaluates in a thread, and on SIGTERM or SIGINT ends in order."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import uvicorn

from otel_ml.errors import ConfigurationError, Fault
from otel_ml_exporter.config import Config
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.web import application

CONNECTIONS = 1_000
KEEP_ALIVE = 15
GRACE = 10

_log = logging.getLogger(__name__)


def serve(config: Config) -> None:
    """Run until a signal asks to stop; all counts that came are saved then."""
    with _listen(config) as listener, closing(Exporter(config)) as exporter:
        server = uvicorn.Server(
            uvicorn.Config(
                application(exporter),
                log_config=None,
                log_level="warning",
                access_log=False,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
            )
        )
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: setattr(server, "should_exit", True))  # uvicorn's own handlers are there only while it serves
        _log.info("listening on http://%s:%d, evaluating every %g s", *listener.getsockname()[:2], config.interval)
        with _rhythm(exporter):
            server.run(sockets=[listener])
    _log.info("stopped")


@contextmanager
def _rhythm(exporter: Exporter) -> Iterator[None]:
    """Evaluate in a thread for as long as the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=exporter.run, args=(stop,), name="evaluate", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(GRACE)


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        fault = Fault("listen", f"{config.host}:{config.port} cannot be used ({error.strerror})", "give a free address of this machine")
        raise ConfigurationError("the exporter", [fault]) from error
