"""Exit codes are those of the help: 2 is wrong usage in every command, and 1 is an answer."""

import argparse
import os
import re
import subprocess
import sys

import pytest

from otel_ml_exporter.cli import main, parser
from support import free_port

NOWHERE = f"http://127.0.0.1:{free_port()}"


def ended(words):
    """The exit code, as the shell sees it."""
    try:
        return main(words)
    except SystemExit as end:
        return end.code


def commands(one):
    """A command and all its actions."""
    yield one
    for action in one._actions:
        for each in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
            yield from commands(each)


@pytest.mark.parametrize("command", list(commands(parser())), ids=lambda command: command.prog)
def test_the_help_of_every_command_says_what_its_exit_codes_mean(command):
    assert re.search(r"Exit codes: 0 .+; 1 .+; 2 wrong usage", " ".join(command.format_help().split()))


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A directory with files that hold other things than a command asks for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("basic_auth: {pasword: x}\nmodels: 7\npace: -1\ngroups: 7\n")
    (tmp_path / "twice.yaml").write_text(
        "groups: [{name: g, rules: [{record: 'a:b', expr: x}, {alert: A, expr: '{__name__=\"y\"} or a:b{c=~\"d\"}'}]}]\n"
    )
    (tmp_path / "text.csv").write_text("a\n1\n")


@pytest.mark.parametrize(
    "words",
    [
        "nothing",
        "triage",
        "triage --model m --range 0s",
        "triage --model m --top -1",
        "triage --model m --json --markdown",
        "triage --model m --baseline broken.yaml",
        "triage --model m --baseline nowhere.json",
        "triage --model m --http-config broken.yaml",
        "triage --model m --prometheus nowhere:9090",
        "doctor --model=",
        "doctor --model m --baseline broken.yaml",
        "doctor --model m --http-config nowhere.yaml",
        "doctor --model m --target nowhere",
        "alerts list --http-config broken.yaml",
        "alerts test --model m --label team",
        "alerts silence --model m --for 1h --comment=",
        "alerts silence --model m --for 11000d --comment x",
        "backtest --set foo=1",
        "backtest --set error_budget=many",
        "backtest --set feature_psi=0.1",
        "backtest --alert Nope",
        "backtest --end nan",
        "backtest --range 1000000w",
        "backtest --most-pages nan",
        "backtest --knobs broken.yaml",
        "backtest broken.yaml",
        "backtest twice.yaml",
        "gate --model m --minimum 0",
        "gate --model m --psi nan",
        "gate --model m --quantile 7",
        "gate --model m --checks latency,luck",
        "gate --model m --http-config broken.yaml",
        "render rules --error-budget 5",
        "render rules --check --error-budget 5",
        "render rules --check --knobs broken.yaml",
        "render rules --check --knobs nowhere.yaml",
        "exporter run",
        "outcomes import",
        "baseline build",
    ],
)
@pytest.mark.usefixtures("there")
def test_wrong_usage_is_2(words, capsys):
    assert ended(words.split()) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("triage --model m --prometheus NOWHERE", 1),
        ("doctor --model m --prometheus NOWHERE --alertmanager NOWHERE", 1),
        ("alerts list --alertmanager NOWHERE", 1),
        ("alerts test --model m --alertmanager NOWHERE", 1),
        ("backtest --prometheus NOWHERE", 1),
        ("gate --model m --prometheus NOWHERE", 3),
        ("render rules --check", 1),
        ("exporter run --check --config broken.yaml", 1),
        ("exporter run --config nowhere.yaml", 1),
        ("outcomes import text.csv --model m", 1),
        ("outcomes import broken.yaml --model m", 1),
        ("baseline validate broken.yaml", 1),
    ],
)
@pytest.mark.usefixtures("there")
def test_an_answer_that_is_no_is_the_code_of_the_help(words, code, capsys):
    assert ended(words.replace("NOWHERE", NOWHERE).split()) == code
    said = capsys.readouterr()
    assert said.out + said.err
    assert "Traceback" not in said.err


def test_a_reader_that_went_away_ends_the_command_without_a_word(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "otel_ml_exporter.cli", "render", "rules", "-o", "."]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
