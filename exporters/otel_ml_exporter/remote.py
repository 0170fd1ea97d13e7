"""The HTTP APIs of other servers: how to log in there, and errors that say what to do."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import yaml

from otel_ml.errors import ConfigurationError, Fault, OtelMLError
from otel_ml_exporter import bounded, shape
from otel_ml_exporter.shape import Section, T, UnfitError


class RemoteError(OtelMLError):
    """A server did not answer, or not with what was asked for; `status` is that of a refusal, else 0."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Access:
    """What a server needs to let requests in; its text shows no secret. `headers` are such as name a tenant."""

    authorization: str = field(default="", repr=False)
    tls: ssl.SSLContext | bool = True
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The headers of every request."""
        return [*self.headers, *([("Authorization", self.authorization)] if self.authorization else [])]


def load_access(path: Path) -> Access:
    """Read the `http_config` of Prometheus, the form that amtool's and promtool's `--http.config.file` take too.

    Known are `basic_auth`, `authorization`, `http_headers` and `tls_config`; paths are relative to the file. Raises
    `ConfigurationError` with every fault, and with no secret.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not YAML"
        raise ConfigurationError(str(path), [Fault("file", f"cannot be read ({problem})", "give a readable YAML file")]) from None
    faults: list[Fault] = []
    top = Section(document, "", faults)
    top.only(("basic_auth", "authorization", "http_headers", "tls_config"))
    headers = list(_headers(top.section("http_headers"), path.parent))
    access = Access(_authorization(top, path.parent), _tls(top.section("tls_config"), path.parent, faults), headers)
    if faults:
        raise ConfigurationError(str(path), faults)
    return access


def _authorization(top: Section, directory: Path) -> str:
    basic, other = top.section("basic_auth"), top.section("authorization")
    basic.only(("username", "password", "password_file"))
    other.only(("type", "credentials", "credentials_file"))
    if "basic_auth" in top and "authorization" in top:
        top.fault("authorization", "stands beside basic_auth", "keep the one that the server asks for")
    if "basic_auth" in top:
        pair = f"{basic.take('username', _secret, '')}:{_kept(basic, 'password', directory)}"
        return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
    if "authorization" in top:
        return f"{other.take('type', shape.text, 'Bearer')} {_kept(other, 'credentials', directory)}"
    return ""


def _headers(section: Section, directory: Path) -> Iterator[tuple[str, str]]:
    """The headers of `http_headers`: each has `values`, `secrets` or `files` that hold a value each."""
    for name in section.texts():
        header = section.section(name)
        header.only(("values", "secrets", "files"))
        if not shape.is_header(name, ""):
            section.fault(name, "is no name of a header", "use letters, digits and hyphens")
        none: list[str] = []
        values, secrets, files = (header.take(kind, _header_values, none) for kind in ("values", "secrets", "files"))
        yield from ((name, value) for value in (*values, *secrets, *(_read(header, "files", directory / file) for file in files)))


def _header_values(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) and shape.is_header("X", each) for each in value):
        raise UnfitError("is no list of values", "write a list of texts, in quotes")
    return value


def _kept(section: Section, name: str, directory: Path) -> str:
    """A secret from its field, or from the file that `<name>_file` names."""
    if f"{name}_file" not in section:
        return section.take(name, _secret, "")
    return _read(section, f"{name}_file", directory / section.take(f"{name}_file", shape.text, ""))


def _read(section: Section, field_: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not text"
        section.fault(field_, f"names {file}, which cannot be read ({problem})", "name a readable file")
        return ""


def _secret(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitError("is no text", "put it in quotes")
    return value


def _tls(section: Section, directory: Path, faults: list[Fault]) -> ssl.SSLContext | bool:
    section.only(("ca_file", "cert_file", "key_file", "insecure_skip_verify"))
    ca, certificate, key = (section.take(name, lambda value: directory / shape.text(value), None) for name in _FILES)
    unverified = section.take("insecure_skip_verify", shape.switch, default=False)
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        faults.append(Fault(section.place, f"cannot be used ({error.strerror or error})", "name readable PEM files"))
        return True
    if unverified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


_FILES = ("ca_file", "cert_file", "key_file")


class Remote:
    """One server's HTTP API; `name` is what messages call it. A context manager."""

    def __init__(self, name: str, url: str, access: Access | None = None, *, timeout: float = 30.0) -> None:
        access = access or Access()
        self.url = url.rstrip("/")
        self.host = httpx.URL(url).netloc.decode("ascii")
        self._name = name
        self._timeout = timeout
        self._client = httpx.Client(base_url=f"{self.url}/", headers=access.sent, verify=access.tls, timeout=timeout)

    def __enter__(self) -> Remote:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def text(self, path: str) -> str:
        """The body that a GET returns. Raises `RemoteError`."""
        return self._answer("GET", path).text

    def json(self, method: str, path: str, read: Callable[[Any], T], **options: Any) -> T:
        """What `read` finds in the JSON that a request returns, None for an empty body.

        Raises `RemoteError` with the reason that the server gives, or when the answer has another form than is read.
        """
        answer = self._answer(method, path, **options)
        try:
            document = answer.json() if answer.content else None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RemoteError(f"{self.host} answers without JSON; is the URL that of {self._name}?") from error
        try:
            return read(document)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise RemoteError(f"{self.host} answers {path} in another form than {self._name}; is the URL that of {self._name}?") from error

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = bounded.request(self._client, method, path, self._timeout, **options)
        except httpx.TimeoutException as error:
            raise RemoteError(f"{self._name} at {self.host} does not answer within {self._timeout:g} s; is it overloaded?") from error
        except bounded.TooMuchError as error:
            raise RemoteError(f"{self._name} at {self.host} answers {path.partition('?')[0]} with {error}; ask for less") from error
        except httpx.HTTPError as error:
            message = f"{self._name} at {self.host} does not answer ({type(error).__name__}: {error}); is it running, and the URL right?"
            raise RemoteError(message) from error
        if answer.status_code in (401, 403):
            raise RemoteError(
                f"{self._name} at {self.host} lets nobody in ({answer.status_code}); give --http-config FILE", status=answer.status_code
            )
        if not answer.is_success:
            message = f"{self._name} at {self.host} refuses {path.partition('?')[0]} ({answer.status_code}: {_reason(answer)})"
            raise RemoteError(f"{message}; {self._mend(answer)}", status=answer.status_code)
        return answer

    def _mend(self, answer: httpx.Response) -> str:
        if answer.has_redirect_location:
            return "give the URL that it sends you to, or log in with --http-config"
        if answer.status_code in (404, 405):
            return f"is the URL that of {self._name}, with the path under which it is served?"
        if answer.status_code in (422, 429):
            return "ask for less, or raise its limits"
        return "read its log" if answer.status_code >= 500 else "mend what it names"


def _reason(answer: httpx.Response) -> str:
    """What the server says of a refusal: Prometheus in `error`, Alertmanager as a bare text or in `message`; of a redirect, to where."""
    if answer.has_redirect_location:
        return f"it redirects to {answer.headers['location'].partition('?')[0]}"
    try:
        said = answer.json()
    except json.JSONDecodeError:
        said = answer.text
    if isinstance(said, Mapping):
        said = said.get("error") or said.get("message") or said
    return " ".join(str(said).split())[:300] or answer.reason_phrase
