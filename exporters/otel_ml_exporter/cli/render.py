"""`otel-ml render`: write the alert rules, the dashboards and the Alertmanager example of this site, and the reference of names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from otel_ml_exporter.mixin import FORMATS, PARTS
from otel_ml_exporter.mixin.knobs import Knobs, load, why


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `render` to the commands."""
    parser = subparsers.add_parser(
        "render",
        usage="%(prog)s [-h] [-o DIR] [--check] [--format FORMAT] [--knobs FILE] [--KNOB VALUE ...] WHAT",
        help="write alert rules, dashboards, an Alertmanager example and the reference of names",
        description="Write the on-call pack with this site's knobs, alert_rules/ and grafana_dashboards/, under the output directory. "
        "`reference` writes what the documentation of otel-ml itself has of every name, docs/reference/.",
        epilog="Exit codes: 0 written, or nothing differs; 1 files differ (--check); 2 wrong usage.",
    )
    parser.add_argument(
        "what",
        choices=(*PARTS, "all"),
        metavar="WHAT",
        help=f"which files: {', '.join(PARTS)}; `all` is what you import, without `reference`",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="where to write (default: here)")
    parser.add_argument("--check", action="store_true", help="write nothing; name each file that differs and exit 1")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="prometheus",
        metavar="FORMAT",
        help="plain files (prometheus), resources of the operator, or configmap",
    )
    parser.add_argument("--knobs", type=Path, metavar="FILE", help="YAML file of knobs; flags override it")
    _add_knobs(parser.add_argument_group("knobs", "what you may change, and why you would"))
    parser.set_defaults(run=render)


_METAVARS = {int: "NUMBER", float: "NUMBER", str: "VALUE"}


def _add_knobs(group: argparse._ArgumentGroup) -> None:
    defaults = Knobs()
    for knob in fields(Knobs):
        default, one = getattr(defaults, knob.name), knob.metadata["flag"]
        flag = f"--{one or knob.name.replace('_', '-')}"
        text = why(knob.name).replace("%", "%%")
        if one:
            kind, shown = (_pair, "NAME=VALUE") if isinstance(default, Mapping) else (str, "NAME")
            group.add_argument(flag, dest=knob.name, action="append", type=kind, metavar=shown, help=f"{text}; may be repeated")
        elif isinstance(default, bool):
            group.add_argument(flag, dest=knob.name, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(
                flag, dest=knob.name, type=type(default), metavar=_METAVARS[type(default)], help=f"{text} (default: {default!r})"
            )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def render(args: argparse.Namespace) -> int:
    """Write the files, or with `--check` say which differ."""
    from otel_ml_exporter.mixin.render import differing, write
    from otel_ml_exporter.mixin.render import render as rendered

    files = rendered(args.what, load(args.knobs, _given(args)), form=args.format)
    if not args.check:
        write(files, args.output)
        print("\n".join(str(args.output / name) for name in files))
        return 0
    changed = differing(files, args.output)
    for name in changed:
        print(f"{args.output / name} differs from what `otel-ml render {args.what}` writes", file=sys.stderr)
    return 1 if changed else 0


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The knobs that were set by flags."""
    given = {knob.name: value for knob in fields(Knobs) if (value := getattr(args, knob.name)) is not None}
    return {name: dict(value) if isinstance(getattr(Knobs(), name), Mapping) else value for name, value in given.items()}
