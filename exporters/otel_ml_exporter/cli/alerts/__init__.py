"""`otel-ml alerts`: what fires for a model, a drill that proves the route to the pager, and silences for planned changes."""

from __future__ import annotations

import argparse

from otel_ml import catalogue as names
from otel_ml_exporter.cli.arguments import said, seconds
from otel_ml_exporter.cli.servers import add_access, add_alertmanager, add_prometheus

_EPILOG = "Exit codes: 0 done; 1 the answer is no (nobody was notified, nothing to expire, no Alertmanager); 2 wrong usage."


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `alerts`."""
    parser = commands.add_parser("alerts", help="what Alertmanager holds for a model; a drill; silences", epilog=_EPILOG)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_list(actions)
    _add_test(actions)
    _add_silence(actions)
    _add_silences(actions)
    _add_expire(actions)


def _action(actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=_EPILOG)
    add_alertmanager(parser)
    add_access(parser)
    return parser


def _add_list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "list", "list what is firing, worst first, and what is muted by what")
    parser.add_argument("--model", type=said, help="this model only")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_list)


def _add_test(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "test", "send a drill along the real route, and resolve it")
    parser.add_argument("--model", type=said, required=True, help="the model whose route is tested")
    parser.add_argument("--severity", choices=(names.CRITICAL, names.WARNING), default=names.CRITICAL, help="default: %(default)s")
    parser.add_argument(
        "--label",
        dest="labels",
        action="append",
        type=_pair,
        default=[],
        metavar="NAME=VALUE",
        help="a label that routes need, besides those of the rules that Prometheus has loaded; repeatable",
    )
    add_prometheus(parser)
    parser.add_argument(
        "--wait",
        type=seconds,
        metavar="DURATION",
        help="how long to wait for a notification (default: 30s more than the route does)",
    )
    parser.set_defaults(run=_test)


def _add_silence(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "silence", "mute the alerts of a model for a while")
    parser.add_argument("--model", type=said, required=True)
    parser.add_argument("--for", dest="duration", required=True, type=seconds, metavar="DURATION", help="how long, such as 2h")
    parser.add_argument("--comment", type=said, required=True, help="why; others read it at night")
    parser.add_argument("--alert", metavar="NAME", help="this alert only, such as ModelFeatureDrift")
    parser.add_argument("--category", help="this category only, such as drift")
    parser.add_argument("--feature", help="alerts about this feature only")
    parser.add_argument("--version", help="this version only")
    parser.add_argument("--author", metavar="NAME", help="default: the user of this process")
    parser.set_defaults(run=_silence)


def _add_silences(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "silences", "list the silences that mute something now or will")
    parser.add_argument("--model", type=said, help="silences of this model only")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_silences)


def _add_expire(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "expire", "end silences before their time")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("silences", nargs="*", default=[], metavar="ID", help="the ids that `silence` printed")
    which.add_argument("--model", type=said, help="all silences that name this model")
    parser.set_defaults(run=_expire)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or name == "alertname":
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, or would rename the drill")
    return name, value


def _list(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.alerts.listing import show

    return show(options)


def _test(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.alerts.drill import run

    return run(options)


def _silence(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.alerts.silences import make

    return make(options)


def _silences(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.alerts.silences import show

    return show(options)


def _expire(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.alerts.silences import expire

    return expire(options)
