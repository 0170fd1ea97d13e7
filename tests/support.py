"""What tests of several folders share: free ports, and waiting for something to come true."""

from __future__ import annotations

import time

import httpx
import pytest

from otel_ml_exporter.demo.stack import free_ports


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
