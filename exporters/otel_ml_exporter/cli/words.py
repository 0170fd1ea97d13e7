"""Times and spans as people read them."""

from __future__ import annotations

import datetime as dt
import shlex
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_ml_exporter.routing import Reached

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def span(seconds: float) -> str:
    """A length of time in its two largest units.

    >>> span(5_430), span(3_600), span(0.2), span(200_000)
    ('1h 30m', '1h', '0s', '2d 7h')
    """
    parts: list[tuple[int, str]] = []
    left = round(seconds)
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in parts[:2] if count) or "0s"


def ago(at: float, now: float) -> str:
    """How long ago a Unix time was.

    >>> ago(0, 90)
    '1m 30s ago'
    """
    return f"{span(max(0.0, now - at))} ago"


def clock(at: float) -> str:
    """A Unix time in UTC, to the minute.

    >>> clock(1_700_000_000)
    '2023-11-14 22:13 UTC'
    """
    return f"{dt.datetime.fromtimestamp(at, dt.timezone.utc):%Y-%m-%d %H:%M} UTC"


def plain(text: str, keep: str = "") -> str:
    r"""A text of others as a terminal may have it: control characters, which could steer it, are written out.

    >>> print(plain(chr(27) + "[31m Größe 大"))
    \x1b[31m Größe 大
    """
    return "".join(each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text)


def padded(text: str, columns: int) -> str:
    """A text filled with blanks to so many columns of a terminal.

    >>> padded("大", 4) + "|"
    '大  |'
    """
    return text + " " * (columns - wide(text))


def wide(text: str) -> int:
    """How many columns of a terminal a text takes: two for a character of East Asia, none for an accent that stands alone."""
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def command(*words: str) -> str:
    """A command of ours, ready for a shell.

    >>> command("doctor", "--model", "a|b")
    "otel-ml doctor --model 'a|b'"
    """
    return shlex.join(("otel-ml", *words))


def told(way: Reached, delay: str = "") -> str:
    """A receiver, how it tells somebody, and when; `delay` where that is not the usual wait of a new group.

    >>> from otel_ml_exporter.routing import Reached
    >>> told(Reached("pager", ("webhook",), 30.0, 300.0, {}, ("outside office-hours",)))
    'pager (webhook) after 30s, never outside office-hours'
    """
    quiet = f", never {' or '.join(way.quiet)}" if way.quiet else ""
    return f"{way.receiver} ({', '.join(way.integrations)}) {delay or f'after {span(way.group_wait)}'}{quiet}"


def counted(number: float, thing: str) -> str:
    """A number of things.

    >>> counted(1, "page"), counted(2, "page")
    ('1 page', '2 pages')
    """
    return f"{number:.0f} {thing}" + "s" * (number != 1)
