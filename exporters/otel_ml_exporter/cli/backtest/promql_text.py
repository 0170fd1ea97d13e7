"""PromQL as text: recordings put in where they are read, and limits replaced, so that rules run over a past that never recorded them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from otel_ml import catalogue as names
from otel_ml.errors import ConfigurationError, Fault
from otel_ml_exporter.alertmanager import Matcher
from otel_ml_exporter.mixin.promql import MODEL, MODEL_VERSION, SIGNAL, quoted
from otel_ml_exporter.routing import parse_matchers

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
    r"""|(?P<comment>\#[^\n]*)"""
    r"""|(?P<labels>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))"""
    r"""|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"""
)
_CLAUSE = re.compile(r"(?:by|on)\s*\(([^)]*)\)")
_BRACES = re.compile(r"""\s*\{((?:[^"'`}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*)\}""")
_RANGE = re.compile(r"\s*\[([^\]:]+)(:[^\]]*)?\]")
_OFFSET = re.compile(r"\s+offset\s+(-?(?:\d+(?:ms|[smhdwy]))+)")
_AT = re.compile(r"\s*@")


class SubstitutionError(ConfigurationError):
    """An expression that cannot be evaluated over the past by substitution."""

    def __init__(self, recording: str, problem: str) -> None:
        super().__init__("the rules", [Fault(recording, problem, "give --recorded to read what Prometheus has")])


@dataclass(frozen=True)
class Recorded:
    """What a recording rule computes, and the labels that it adds."""

    expr: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Selector:
    """A selector as it stands in an expression; `clause` holds the labels of the last `by` or `on` before it."""

    name: str
    matchers: str
    span: str
    resolution: str
    offset: str
    pinned: bool
    clause: str


def inline(expr: str, recordings: Mapping[str, Sequence[Recorded]], *, step: str, inside: tuple[str, ...] = ()) -> str:
    """The expression with each recorded name replaced by what the rule computes, as if it had been recorded every `step`.

    >>> inline("a:b:c > 1", {"a:b:c": [Recorded("sum by (x) (y)", {})]}, step="1m")
    '(sum by (x) (y)) > 1'
    """

    def replaced(found: Selector) -> str | None:
        if found.name not in recordings:
            return None
        if found.name in inside or found.pinned:
            problem = "is read at a fixed time" if found.pinned else "is recorded from itself"
            raise SubstitutionError(found.name, problem)
        parts = [
            _labelled(inline(each.expr, recordings, step=step, inside=(*inside, found.name)), each.labels)
            for each in recordings[found.name]
        ]
        body = _filtered(f"({' or '.join(parts)})", found)
        if found.span:
            resolution = found.resolution.strip(":") or step
            return f"{body}[{found.span}:{resolution}]{_offset(found)}"
        return f"last_over_time({body}[{step}:{step}]{_offset(found)})" if found.offset else body

    return _replace(expr, replaced)


def with_limit(expr: str, signal: str, limit: float) -> str:
    """The expression with a threshold replaced, for the models that have one and for those that only serve.

    The models are told apart by the labels that the expression tells them apart by, a site's own among them.

    >>> with_limit('x > on (ml_model_name) ml_threshold{ml_signal="psi"}', "psi", 0.2).partition("(clamp")[2]
    '(ml_threshold{ml_signal="psi"}, 0.2, 0.2) or on (ml_model_name) 0.2 * group by (ml_model_name) (ml_model_info))'
    """

    def replaced(found: Selector) -> str | None:
        own = found.name == names.THRESHOLD.prometheus and Matcher(SIGNAL, signal) in parse_matchers(found.matchers)
        if not own:
            return None
        apart = found.clause if MODEL in re.findall(r"\w+", found.clause) else MODEL_VERSION
        served = f"{limit!r} * group by ({apart}) ({names.MODEL_INFO.prometheus})"
        return f"(clamp({found.name}{{{found.matchers}}}{_offset(found)}, {limit!r}, {limit!r}) or on ({apart}) {served})"

    return _replace(expr, replaced)


def _replace(expr: str, replaced: Callable[[Selector], str | None]) -> str:
    return "".join(_pieces(expr, replaced))


def _pieces(expr: str, replaced: Callable[[Selector], str | None]) -> Iterator[str]:
    """The text, selector for selector; strings, comments and lists of labels stay as they are."""
    position, clause = 0, ""
    while found := _TOKEN.search(expr, position):
        yield expr[position : found.start()]
        position = found.end()
        clause = own[1] if (own := _CLAUSE.match(found[0])) else clause
        selector, end = _selector(expr, found, clause) if found["name"] else (None, position)
        text = replaced(selector) if selector else None
        yield found[0] if text is None else text
        position = position if text is None else end
    yield expr[position:]


def _selector(expr: str, found: re.Match[str], clause: str) -> tuple[Selector, int]:
    end = found.end()
    braces = _BRACES.match(expr, end)
    end = braces.end() if braces else end
    span = _RANGE.match(expr, end)
    end = span.end() if span else end
    offset = _OFFSET.match(expr, end)
    end = offset.end() if offset else end
    selector = Selector(
        found["name"],
        braces[1].strip().rstrip(",") if braces else "",
        span[1] if span else "",
        (span[2] or "") if span else "",
        offset[1] if offset else "",
        bool(_AT.match(expr, end)),
        clause,
    )
    return selector, end


def _offset(found: Selector) -> str:
    return f" offset {found.offset}" if found.offset else ""


def _labelled(expr: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        expr = f'label_replace({expr}, "{name}", {_quoted(value)}, "", "")'
    return expr


def _filtered(body: str, found: Selector) -> str:
    """A result has no matchers; equality is a set operation with a vector of that label."""
    for matcher in parse_matchers(found.matchers):
        if matcher.regex:
            raise SubstitutionError(f"{found.name}{{{matcher}}}", "a recording is read by a pattern")
        operator = "and" if matcher.equal else "unless"
        body = f'({body} {operator} on ({matcher.name}) label_replace(vector(1), "{matcher.name}", {_quoted(matcher.value)}, "", ""))'
    return body


def _quoted(value: str) -> str:
    return quoted(value.replace("$", "$$"))
