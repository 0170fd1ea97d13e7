"""Options that name servers, shared by the commands that talk to them."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from otel_ml_exporter.shape import is_header

if TYPE_CHECKING:
    from otel_ml_exporter.alertmanager import Alertmanager, Matcher
    from otel_ml_exporter.prometheus import Prometheus
    from otel_ml_exporter.remote import Access

HTTP_CONFIG: Final = "OTEL_ML_HTTP_CONFIG"
_SERVERS: Final = {
    "prometheus": ("PROMETHEUS_URL", "http://127.0.0.1:9090"),
    "alertmanager": ("ALERTMANAGER_URL", "http://127.0.0.1:9093"),
}
"""Each server's variable, and where it is without one."""


def add_prometheus(parser: argparse.ArgumentParser) -> None:
    """Add `--prometheus` and `--selector`."""
    _add(parser, "prometheus")
    parser.add_argument(
        "--selector", type=_selector, default=(), metavar="MATCHERS", help="one of several environments, such as namespace=prod"
    )


def add_alertmanager(parser: argparse.ArgumentParser) -> None:
    """Add `--alertmanager`."""
    _add(parser, "alertmanager")


def _add(parser: argparse.ArgumentParser, name: str) -> None:
    variable, default = _SERVERS[name]
    url = os.environ.get(variable) or default
    parser.add_argument(f"--{name}", type=server_url, default=url, metavar="URL", help=f"default: ${variable}, else {default}")


def add_access(
    parser: argparse._ActionsContainer, where: str = "at Prometheus and Alertmanager", variable: str | None = HTTP_CONFIG
) -> None:
    """Add `--http-config` and `--header`; `variable` is the environment's, where it has one."""
    parser.add_argument(
        "--http-config",
        type=Path,
        default=(os.environ.get(variable) or None) if variable else None,
        metavar="FILE",
        help=f"how to log in {where}: basic_auth, authorization, http_headers, tls_config, as amtool takes it"
        + (f" (or ${variable})" if variable else ""),
    )
    parser.add_argument(
        "--header",
        dest="headers",
        action="append",
        type=_header,
        default=[],
        metavar="NAME=VALUE",
        help="a header, such as X-Scope-OrgID=team",
    )


def server_url(text: str) -> str:
    """A URL of a server; for argparse, whose own message would show a password that is in it."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise argparse.ArgumentTypeError("is not a URL; write it as http://host:port")
    return text


def _selector(text: str) -> list[Matcher]:
    from otel_ml_exporter.routing import RoutingError, parse_matchers

    try:
        return parse_matchers(text)
    except RoutingError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not is_header(name, value):
        raise argparse.ArgumentTypeError("is not NAME=VALUE; a secret one belongs into http_headers of --http-config")
    return name, value


def given(options: argparse.Namespace, *servers: str) -> list[str]:
    """How this call names these servers and the way in, where not as usual, for a command that is to ask them too; without passwords."""
    words = []
    for name in servers:
        variable, default = _SERVERS[name]
        url = getattr(options, name)
        if url != (os.environ.get(variable) or default):
            parts = urlsplit(url)
            words += [f"--{name}", parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()]
    if "prometheus" in servers and options.selector:
        words += ["--selector", ", ".join(map(str, options.selector))]
    if options.http_config and str(options.http_config) != os.environ.get(HTTP_CONFIG):
        words += ["--http-config", str(options.http_config)]
    words += [word for name, value in options.headers for word in ("--header", f"{name}={value}")]
    return words


def prometheus(options: argparse.Namespace) -> Prometheus:
    """The Prometheus of the options."""
    from otel_ml_exporter.cli.narrowed import Narrowed
    from otel_ml_exporter.prometheus import Prometheus

    if options.selector:
        return Narrowed(options.prometheus, access(options), options.selector)
    return Prometheus("Prometheus", options.prometheus, access(options))


def alertmanager(options: argparse.Namespace) -> Alertmanager:
    """The Alertmanager of the options."""
    from otel_ml_exporter.alertmanager import Alertmanager

    return Alertmanager("Alertmanager", options.alertmanager, access(options))


def access(options: argparse.Namespace) -> Access:
    """How to log in, by the options. Raises `ConfigurationError` for a file that cannot be used."""
    from otel_ml_exporter.remote import Access, load_access

    given_ = load_access(Path(options.http_config)) if options.http_config else Access()
    return replace(given_, headers=[*given_.headers, *options.headers])
