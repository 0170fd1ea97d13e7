"""The configuration file as frozen values; every fault of it is found before any is raised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from otel_ml.catalogue import REFERENCE_BASELINE, REFERENCE_PREVIOUS, REFERENCE_REST, REFERENCE_STABLE
from otel_ml.errors import ConfigurationError, Fault
from otel_ml_exporter import remote, shape
from otel_ml_exporter.access import SCOPES, WRITE, Access, Tls, Token
from otel_ml_exporter.outcomes.limits import IntakeLimits
from otel_ml_exporter.shape import Section, UnfitError
from otel_ml_exporter.thresholds import DEFAULTS, GROUPS, Costs, FeatureLimits, Limits, Threshold, overridden

MAX_WINDOWS = 10
REFERENCES: tuple[str, ...] = (REFERENCE_BASELINE, REFERENCE_PREVIOUS, REFERENCE_STABLE, REFERENCE_REST)
USUAL_REFERENCES: tuple[str, ...] = (REFERENCE_BASELINE, REFERENCE_STABLE)
"""What the pack's rules read; of models without a canary or shadow the second publishes nothing."""
MEMORY = ":memory:"
NO_CLIENT_CERT, VERIFIED_CLIENT_CERT = "NoClientCert", "RequireAndVerifyClientCert"
CLIENT_AUTH_TYPES = (NO_CLIENT_CERT, "VerifyClientCertIfGiven", VERIFIED_CLIENT_CERT)
TLS_VERSIONS = ("TLS12", "TLS13")


@dataclass(frozen=True)
class Window:
    """A span of time to look back over, and the label it is published under."""

    label: str
    seconds: float


@dataclass(frozen=True)
class PrometheusSettings:
    """Counts are asked from a Prometheus-compatible server; `access` is what it needs to let requests in."""

    url: str
    timeout: float = 30.0
    access: remote.Access = field(default_factory=remote.Access)


@dataclass(frozen=True)
class OtlpSettings:
    """Counts are received over OTLP; at most `max_streams` are remembered."""

    max_streams: int = 200_000


@dataclass(frozen=True)
class RowSettings:
    """How many sampled rows each window keeps, and how often they are compared."""

    keep: int = 1_000
    interval: float = 300.0


@dataclass(frozen=True)
class ModelSettings:
    """Baselines and the samples of their rows, each a path or a glob, and the limits of their models."""

    baseline: str
    limits: Limits
    sample: str | None = None


@dataclass(frozen=True)
class Config:
    """All settings of the exporter; durations are seconds, `store` is a SQLAlchemy URL, paths are relative to `directory`.

    `references` are what windows are compared with; `previous` is how much earlier the previous window lies, None where that is not
    asked for.
    """

    directory: Path
    host: str
    port: int
    interval: float
    windows: tuple[Window, ...]
    previous: float | None
    source: PrometheusSettings | OtlpSettings
    store: str
    retention: float
    limits: IntakeLimits
    access: Access
    models: tuple[ModelSettings, ...]
    rows: RowSettings = RowSettings()
    references: tuple[str, ...] = USUAL_REFERENCES


def load(path: Path) -> Config:
    """Read a configuration file. Raises `ConfigurationError` with every fault and its place."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        fault = Fault("file", f"cannot be read ({error.strerror})", "give the path of a readable YAML file")
        raise ConfigurationError(str(path), [fault]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fault = Fault(_yaml_place(error), f"is not YAML ({getattr(error, 'problem', None) or error})", "mend the line")
        raise ConfigurationError(str(path), [fault]) from error
    return parse(document, path.absolute().parent, subject=str(path))


def parse(document: Any, directory: Path, subject: str = "the configuration") -> Config:
    """The settings that a document describes. Raises `ConfigurationError` with every fault and its place."""
    faults: list[Fault] = []
    config = _shape(Section(document, "", faults), directory)
    faults += _contradictions(config)
    if faults:
        raise ConfigurationError(subject, faults)
    return config


def _yaml_place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"


def _shape(top: Section, directory: Path) -> Config:
    top.only(
        (
            "listen",
            "interval",
            "windows",
            "references",
            "previous",
            "source",
            "store",
            "retention",
            "limits",
            "web",
            "minimum_samples",
            "minimum_outcomes",
            "signals",
            "thresholds",
            "rows",
            "models",
        ),
    )
    common = Limits(
        minimum_samples=top.take("minimum_samples", shape.whole(1), 100),
        minimum_outcomes=top.take("minimum_outcomes", shape.whole(1), 100),
        thresholds=_thresholds(top.section("thresholds"), DEFAULTS),
        off=_switched_off(top.section("signals")),
    )
    host, port = top.take("listen", _address, ("127.0.0.1", 9469))
    return Config(
        directory=directory,
        host=host,
        port=port,
        interval=top.take("interval", shape.duration, 60.0),
        windows=top.take("windows", _windows, (Window("1h", 3_600.0), Window("24h", 86_400.0))),
        previous=_previous(top),
        references=top.take("references", _references, USUAL_REFERENCES),
        source=_source(top.section("source"), directory),
        store=top.take("store", lambda value: _store(value, directory), _sqlite(directory / "otel-ml.db")),
        retention=top.take("retention", shape.duration, 8 * 86_400.0),
        limits=_intake_limits(top.section("limits")),
        access=_access(top.section("web"), directory),
        models=tuple(_model(section, common) for section in top.sections("models")),
        rows=_rows(top.section("rows")),
    )


def _address(value: Any) -> tuple[str, int]:
    host, _, port = shape.text(value).rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise UnfitError(f"is {value!r}", "write host:port, such as 127.0.0.1:9469")
    return host.strip("[]"), int(port)


def _windows(value: Any) -> tuple[Window, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_WINDOWS:
        raise UnfitError(f"is {shape.brief(value)}", f"write a list of 1 to {MAX_WINDOWS} durations, such as [1h, 24h]")
    return tuple(sorted((Window(str(entry), shape.duration(entry)) for entry in value), key=lambda window: window.seconds))


def _previous(top: Section) -> float | None:
    """How much earlier the other window lies; read, and so checked, even where no reference asks for it."""
    earlier = top.take("previous", shape.duration, 7 * 86_400.0)
    asked = top.take("references", lambda value: value, None)
    return earlier if isinstance(asked, list) and REFERENCE_PREVIOUS in asked else None


def _references(value: Any) -> tuple[str, ...]:
    known = isinstance(value, list) and all(entry in REFERENCES for entry in value)
    if not known or REFERENCE_BASELINE not in value or len(set(value)) < len(value):
        raise UnfitError(f"is {shape.brief(value)}", "write [baseline], with any of previous, stable and rest")
    return tuple(value)


def _switched_off(section: Section) -> frozenset[str]:
    section.only(GROUPS)
    return frozenset(group for group in GROUPS if not section.take(group, shape.switch, default=True))


def _rows(section: Section) -> RowSettings:
    section.only(("keep", "interval"))
    return RowSettings(section.take("keep", shape.whole(100), 1_000), section.take("interval", shape.duration, 300.0))


def _source(section: Section, directory: Path) -> PrometheusSettings | OtlpSettings:
    section.only(("prometheus", "otlp"))
    if "prometheus" in section:
        if "otlp" in section:
            section.fault("otlp", "stands beside prometheus", "keep the one that counts come from")
        inner = section.section("prometheus")
        inner.only(("url", "timeout", "http_config"))
        if "url" not in inner:
            inner.fault("url", "is absent", "write it as http://127.0.0.1:9090")
        return PrometheusSettings(inner.take("url", _http_url, ""), inner.take("timeout", shape.duration, 30.0), _log_in(inner, directory))
    inner = section.section("otlp")
    inner.only(("max_streams",))
    return OtlpSettings(inner.take("max_streams", shape.whole(1), 200_000))


def _log_in(section: Section, directory: Path) -> remote.Access:
    """What the file of `http_config` says; its faults are those of the field."""
    file = section.take("http_config", shape.text, "")
    try:
        return remote.load_access(directory / file) if file else remote.Access()
    except ConfigurationError as error:
        for fault in error.faults:
            section.fault("http_config", f"names {file}, where {fault.place} {fault.problem}", fault.mend)
        return remote.Access()


def _http_url(value: Any) -> str:
    try:
        parts = urlsplit(shape.text(value))
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise UnfitError("is not an HTTP URL", "write it as http://127.0.0.1:9090")
    return str(value).rstrip("/")


def _store(value: Any, directory: Path) -> str:
    if shape.text(value) == MEMORY:
        return "sqlite://"
    if "://" not in value:
        return _sqlite(directory / value)
    try:
        backend = make_url(value).get_backend_name()
    except ArgumentError as error:
        raise UnfitError("is not a SQLAlchemy URL", "write a path, or postgresql+psycopg://user@host/database") from error
    if backend not in ("sqlite", "postgresql"):
        raise UnfitError(f"is a {backend} database", "write the path of an SQLite file, or a postgresql URL")
    return str(value)


def _sqlite(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()


def _intake_limits(section: Section) -> IntakeLimits:
    defaults = IntakeLimits()
    section.only(asdict(defaults))
    return IntakeLimits(
        **{name: section.take(name, shape.whole(0 if name == "rate" else 1), value) for name, value in asdict(defaults).items()}
    )


def _access(section: Section, directory: Path) -> Access:
    section.only(("tokens", "tls_server_config"))
    tokens = tuple(_token(entry) for entry in section.sections("tokens")) if "tokens" in section else ()
    tls = section.section("tls_server_config")
    tls.only(("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version"))
    files = {name: tls.take(name, lambda value: _readable(value, directory), None) for name in ("cert_file", "key_file", "client_ca_file")}
    for name in ("cert_file", "key_file"):
        if "tls_server_config" in section and name not in tls:
            tls.fault(name, "is absent", "write the path of a PEM file")
    authorities = files["client_ca_file"]
    asked = tls.take("client_auth_type", _client_auth, NO_CLIENT_CERT if authorities is None else VERIFIED_CLIENT_CERT)
    if (asked == NO_CLIENT_CERT) != (authorities is None) and "client_ca_file" not in tls:
        tls.fault("client_ca_file", f"is absent beside client_auth_type {asked}", "write the path of the authorities' certificates")
    elif asked == NO_CLIENT_CERT and authorities is not None:
        tls.fault("client_auth_type", f"is {asked} beside client_ca_file", f"write {VERIFIED_CLIENT_CERT}, or leave out client_ca_file")
    newest = tls.take("min_version", _tls_version, "TLS12") == "TLS13"
    optional = asked == "VerifyClientCertIfGiven"
    served = (
        Tls(files["cert_file"] or "", files["key_file"] or "", authorities, optional, newest) if "tls_server_config" in section else None
    )
    return Access(tokens, served)


def _client_auth(value: Any) -> str:
    if value not in CLIENT_AUTH_TYPES:
        raise UnfitError(
            f"is {shape.brief(value)}", f"write one of {', '.join(CLIENT_AUTH_TYPES)}; a certificate is verified or not wanted"
        )
    return str(value)


def _tls_version(value: Any) -> str:
    if value not in TLS_VERSIONS:
        raise UnfitError(f"is {shape.brief(value)}", f"write {' or '.join(TLS_VERSIONS)}; older versions are broken")
    return str(value)


def _token(section: Section) -> Token:
    section.only(("name", "sha256", "scopes"))
    for name in ("name", "sha256"):
        if name not in section:
            section.fault(name, "is absent", "write the name of who holds the token, and the SHA-256 of the token")
    return Token(
        section.take("name", shape.text, ""), section.take("sha256", _sha256, ""), section.take("scopes", _scopes, frozenset({WRITE}))
    )


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or re.fullmatch(r"[0-9a-fA-F]{64}", value) is None:
        raise UnfitError("is no SHA-256", "write the 64 digits that `printf %s TOKEN | sha256sum` prints, not the token")
    return value.lower()


def _scopes(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not value or not all(entry in SCOPES for entry in value):
        raise UnfitError(f"is {shape.brief(value)}", f"write a list of {' and '.join(SCOPES)}")
    return frozenset(value)


def _readable(value: Any, directory: Path) -> str:
    path = directory / shape.text(value)
    if not path.is_file():
        raise UnfitError(f"is {shape.brief(value)}, which is no file", "write the path of a PEM file")
    return str(path)


def _model(section: Section, common: Limits) -> ModelSettings:
    section.only(("baseline", "sample", "thresholds", "features", "label_delay", "costs", "trusted"))
    if "baseline" not in section:
        section.fault("baseline", "is absent", "write the path of the file that Baseline.save wrote")
    features = section.section("features")
    own = {name: _feature(features.section(name)) for name in features.texts()}
    return ModelSettings(
        section.take("baseline", shape.text, ""),
        replace(
            common,
            thresholds=_thresholds(section.section("thresholds"), common.thresholds),
            features=own,
            label_delay=section.take("label_delay", shape.duration, 0.0),
            costs=_costs(section.section("costs")) if "costs" in section else None,
            trusted=section.take("trusted", _sources, frozenset()),
        ),
        section.take("sample", shape.text, None),
    )


def _thresholds(section: Section, known: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
    """What a section states, over what is known."""
    section.only(threshold.signal for threshold in known)
    take = {t.signal: section.take(t.signal, shape.duration if t.unit == "s" else shape.number(0, t.greatest), t.value) for t in known}
    return overridden(take, known)


def _costs(section: Section) -> Costs:
    section.only(("false_positive", "false_negative"))
    return Costs(*(section.take(name, shape.number(0), 1.0) for name in ("false_positive", "false_negative")))


def _sources(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
        raise UnfitError(f"is {shape.brief(value)}", "write a list of names, such as [adjudicated]")
    return frozenset(value)


def _feature(section: Section) -> FeatureLimits:
    section.only(("psi", "ignore"))
    return FeatureLimits(section.take("psi", shape.number(0), None), section.take("ignore", shape.switch, default=False))


def _contradictions(config: Config) -> Iterator[Fault]:
    """The second stage: fields that are fit alone and not together."""
    seconds = [window.seconds for window in config.windows]
    if len(set(seconds)) < len(seconds):
        yield Fault("windows", f"name one span twice ({_labels(config.windows)})", "keep one of them")
    if max(seconds) > config.retention:
        yield Fault(
            "retention", f"is shorter than the longest window ({_labels(config.windows)})", "keep data for longer, or look back less"
        )
    if config.interval > min(seconds):
        yield Fault("interval", f"is longer than the shortest window ({_labels(config.windows)})", "evaluate at least once a window")
    if config.previous is not None and config.previous < max(seconds):
        yield Fault("previous", f"is shorter than the longest window ({_labels(config.windows)})", "look back further, or over less")
    for index, model in enumerate(config.models):
        if model.limits.label_delay and model.limits.label_delay + max(seconds) > config.retention:
            yield Fault(f"models[{index}].label_delay", "and the longest window together are longer than retention", "keep data for longer")
    patterns = [model.baseline for model in config.models if model.baseline]
    for index, pattern in enumerate(patterns):
        if pattern in patterns[:index]:
            yield Fault(f"models[{index}].baseline", f"names {pattern!r} again", "name each baseline once")


def _labels(windows: Sequence[Window]) -> str:
    return ", ".join(window.label for window in windows)
