"""The guide names what there is: every alert, every knob with its default and its reason."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from otel_ml_exporter.mixin.knobs import Knobs, why
from otel_ml_exporter.mixin.rules import groups

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "how-to" / "on-call.md").read_text(encoding="utf-8")
SPELLED = {
    "watchdog": "--no-watchdog",
    "smtp_tls": "--no-smtp-tls",
    "labels": "--label NAME=VALUE",
    "group_labels": "--group-label NAME",
    "severities": "--severity NAME=VALUE",
    "resource_labels": "--resource-label NAME=VALUE",
}


def test_the_guide_tells_every_alert_with_its_severity():
    told = set(re.findall(r"^\| \[(\w+)\]\(\S+\) \| [^|]+ \| (\w+) \|$", GUIDE, flags=re.MULTILINE))
    assert told == {(alert.name, alert.severity) for group in groups(Knobs()) for alert in group.alerts}


@pytest.mark.parametrize("name", [knob.name for knob in fields(Knobs)])
def test_the_guide_tells_every_knob_as_the_code_does(name):
    flag = SPELLED.get(name, "--" + name.replace("_", "-"))
    default = getattr(Knobs(), name)
    shown = "on" if default is True else default or "none"
    assert f"| `{flag}` | {shown} | {why(name)} |" in GUIDE


def test_links_of_the_guide_lead_somewhere():
    assert all((ROOT / "docs" / "how-to" / link).resolve().is_file() for link in re.findall(r"\]\((\.\./[^)]+)\)", GUIDE))
