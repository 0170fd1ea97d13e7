"""The exporter as a process: listens, evaluates in a thread, and on SIGTERM or SIGINT ends in order."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn

from otel_ml.errors import ConfigurationError, Fault
from otel_ml_exporter.config import Config
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.web import application

CONNECTIONS = 1_000
KEEP_ALIVE = 15
GRACE = 10
COLLECTION = (50_000, 20, 20)
"""When Python looks for cycles: seldom, since a request is ten thousands of small values and none of them is part of a cycle."""

_log = logging.getLogger(__name__)


def serve(config: Config) -> None:
    """Run until a signal asks to stop; all counts that came are saved then."""
    with _listen(config) as listener, closing(Exporter(config)) as exporter:
        gc.freeze()
        gc.set_threshold(*COLLECTION)
        settings = uvicorn.Config(
            application(exporter),
            log_config=None,
            log_level="warning",
            access_log=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
            **_tls(config),
        )
        settings.load()
        if settings.ssl is not None and config.access.tls is not None and config.access.tls.newest:
            settings.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
        server = uvicorn.Server(settings)
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: setattr(server, "should_exit", True))  # uvicorn's own handlers are there only while it serves
        scheme = "http" if config.access.tls is None else "https"
        _log.info("listening on %s://%s:%d, evaluating every %g s", scheme, *listener.getsockname()[:2], config.interval)
        with _rhythm(exporter):
            server.run(sockets=[listener])
    _log.info("stopped")


def _tls(config: Config) -> dict[str, Any]:
    """What uvicorn needs for TLS 1.2 or newer; clients need a certificate where their authorities are named."""
    tls = config.access.tls
    if tls is None:
        return {}
    verified = ssl.CERT_OPTIONAL if tls.optional else ssl.CERT_REQUIRED
    wanted = ssl.CERT_NONE if tls.client_ca_file is None else verified
    return {"ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file, "ssl_ca_certs": tls.client_ca_file, "ssl_cert_reqs": wanted}


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
