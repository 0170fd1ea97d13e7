"""Programs of other people that are started on this machine: where they are, and ports for them."""

from __future__ import annotations

import shutil
import socket


def find(names: tuple[str, ...]) -> str | None:
    """The first of these programs that is on the PATH."""
    return next((path for name in names if (path := shutil.which(name))), None)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
