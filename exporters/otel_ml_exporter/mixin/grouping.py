"""Group labels, such as the namespace: what tells apart models of one name that serve in several environments.

They are put into finished PromQL, so that rules and panels are written for one environment and none can forget them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from otel_ml_exporter.mixin.promql import MODEL

_STRING: Final = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`"""
_BRACES: Final = rf"\{{(?:[^\"'`}}]|{_STRING})*\}}"
_TOKEN: Final = re.compile(
    rf"{_STRING}|\[[^\]]*\]"
    r"|\b(?:without|ignoring|group_left|group_right)\s*\([^)]*\)"
    r"|\b(?P<clause>by|on)\s*\((?P<labels>[^)]*)\)"
    rf"|(?<![\w.:$])(?P<name>[a-zA-Z_:][\w:]*)?(?P<braces>{_BRACES})"
    r"|(?<![\w.:$])(?P<word>[a-zA-Z_:][\w:]*)(?P<call>\s*\()?"
)
_AGGREGATIONS: Final = ("sum", "min", "max", "avg", "group", "count", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values")
_WORDS: Final = frozenset((*_AGGREGATIONS, "and", "or", "unless", "bool", "offset", "start", "end", "atan2", "inf", "nan", "by", "on"))
_QUERY: Final = re.compile(r"printf `([^`]*)`((?: \$labels\.\w+)*)")
_SLOT: Final = re.compile(r"%(?:[a-z]|<(\w+)>)")
_NAMED: Final = f"{{{{ $labels.{MODEL} }}}}"

_Change = Callable[["re.Match[str]"], "str | None"]


def grouped(expr: str, labels: Sequence[str], *, beside: str = "") -> str:
    """The expression with `labels` in each aggregation and each join, or only where those name the label `beside`.

    >>> grouped("sum by (job) (up) / on () group_left () max(x)", ["namespace"])
    'sum by (namespace, job) (up) / on (namespace) group_left () max by (namespace) (x)'
    """

    def change(found: re.Match[str]) -> str | None:
        given = re.findall(r"\w+", found["labels"] or "")
        if found["clause"] and (not beside or beside in given):
            return f"{found['clause']} ({', '.join([*labels, *given])})"
        if found["call"] and not beside and found["word"] in _AGGREGATIONS:
            return f"{found['word']} by ({', '.join(labels)}) ("
        return None

    return _changed(expr, change) if labels else expr


def matched(expr: str, matchers: Sequence[str], *, of: str = "") -> str:
    """The expression with `matchers` in each of its selectors, or only in those of names with `of` in them.

    >>> matched('rate(x{a="b"}[5m]) / on (job) y', ['namespace="prod"'])
    'rate(x{namespace="prod", a="b"}[5m]) / on (job) y{namespace="prod"}'
    """

    def change(found: re.Match[str]) -> str | None:
        if of not in (found["name"] or found["word"] or ""):
            return None
        if found["braces"]:
            return f"{found['name'] or ''}{{{', '.join([*matchers, *filter(None, [found['braces'][1:-1].strip()])])}}}"
        if found["word"] and not found["call"] and found["word"].lower() not in _WORDS:
            return f"{found['word']}{{{', '.join(matchers)}}}"
        return None

    return _changed(expr, change) if matchers else expr


def located(annotations: Mapping[str, str], expr: str, labels: Sequence[str]) -> dict[str, str]:
    """The annotations of an alert on `expr`: they name the environment, ask only for its series, and link to it.

    An expression that asks for no series gives an alert without labels.
    """
    if matched(expr, labels) == expr:
        return dict(annotations)
    places = "(" + ", ".join(f"{{{{ $labels.{label} }}}}" for label in labels) + ")"
    texts = {name: _located(text, places, labels) for name, text in annotations.items()}
    summary = texts["summary"]
    return {**texts, "summary": summary if places in summary else f"{summary} {places}"}


def _located(text: str, places: str, labels: Sequence[str]) -> str:
    chosen = "".join(f"var-{label}={{{{ $labels.{label} | urlquery }}}}&" for label in labels)
    text = text.replace(_NAMED, f"{_NAMED} {places}").replace("var-model=", f"{chosen}var-model=")
    return _QUERY.sub(lambda found: _narrowed(found[1], found[2].split(), labels), text)


def _narrowed(query: str, values: list[str], labels: Sequence[str]) -> str:
    """A query of an annotation; `printf` fills its slots in their order."""
    narrowed = matched(query, [f"{label}=%<{label}>" for label in labels])
    given = iter(values)
    filled = [f"$labels.{slot[1]}" if slot[1] else next(given) for slot in _SLOT.finditer(narrowed)]
    written = _SLOT.sub(lambda slot: "%q" if slot[1] else slot[0], narrowed)
    return " ".join([f"printf `{written}`", *filled])


def _changed(expr: str, change: _Change) -> str:
    return "".join(_pieces(expr, change))


def _pieces(expr: str, change: _Change) -> Iterator[str]:
    position = 0
    for found in _TOKEN.finditer(expr):
        yield expr[position : found.start()]
        text = change(found)
        yield found[0] if text is None else text
        position = found.end()
    yield expr[position:]
