"""The routing tree: our reader and Alertmanager's own amtool name the same receivers."""

import shutil
import subprocess
from itertools import product

import pytest
import yaml

from otel_ml_exporter.alertmanager import Matcher
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render
from otel_ml_exporter.routing import RoutingError, mutes, parse_matchers, reached

TREE = {
    "route": {
        "receiver": "chat",
        "group_wait": "1m",
        "routes": [
            {"receiver": "log", "match_re": {"team": "risk|fraud"}, "continue": True},
            {
                "matchers": ['team="risk"', "severity!=warning"],
                "receiver": "risk",
                "routes": [{"match": {"night": "yes"}, "receiver": "night"}],
            },
            {"matchers": ['{severity=~"crit.*", team!~"a.*"}'], "receiver": "pager", "group_wait": "5s"},
            {"matchers": ['note="a, \\"b\\" = c"'], "receiver": "odd"},
            {"matchers": ["ghost=~.+"], "receiver": "nobody"},
        ],
    },
    "receivers": [
        {"name": "chat", "webhook_configs": [{"url": "http://localhost/chat"}]},
        {"name": "log", "webhook_configs": [{"url": "http://localhost/log"}]},
        {"name": "risk", "webhook_configs": [{"url": "http://localhost/risk"}]},
        {"name": "night", "webhook_configs": [{"url": "http://localhost/night"}]},
        {"name": "pager", "pagerduty_configs": [{"routing_key": "x"}], "webhook_configs": [{"url": "http://localhost/pager"}]},
        {"name": "odd", "webhook_configs": [{"url": "http://localhost/odd"}]},
        {"name": "nobody"},
    ],
}
LABELS = {
    "severity": ["", "critical", "warning"],
    "team": ["", "risk", "fraud", "ads"],
    "night": ["", "yes"],
    "note": ["", 'a, "b" = c'],
    "ghost": ["", "boo"],
}


def amtool(file, labels):
    program = shutil.which("amtool")
    assert program, "amtool is not on the PATH; install Alertmanager (Debian package: prometheus-alertmanager)"
    given = [f"{name}={value}" for name, value in labels.items()]
    done = subprocess.run(
        [program, "config", "routes", "test", f"--config.file={file}", *given], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().split(",")


def cases():
    for values in product(*LABELS.values()):
        yield {name: value for name, value in zip(LABELS, values, strict=True) if value}


@pytest.mark.parametrize("labels", [case for case in cases() if len(case) in (1, 2, 3) and ("note" not in case or len(case) == 1)], ids=str)
def test_the_receivers_are_those_that_amtool_names(labels, tmp_path):
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(TREE))
    shown = {name: f'"{value}"'.replace('a, "b"', r"a, \"b\"") if name == "note" else value for name, value in labels.items()}
    assert [way.receiver for way in reached(file.read_text(), labels)] == amtool(file, shown)


def test_integrations_and_waiting_times_come_with_the_receiver():
    assert [(way.integrations, way.group_wait) for way in reached(yaml.safe_dump(TREE), {"severity": "critical"})] == [
        (("pagerduty", "webhook"), 5)
    ]
    assert [(way.integrations, way.group_wait) for way in reached(yaml.safe_dump(TREE), {"ghost": "boo"})] == [((), 60)]


def test_the_example_pages_for_critical_and_chats_for_warning():
    (text,) = render("alertmanager", Knobs()).values()
    model = {"ml_model_name": "churn"}
    assert [way.receiver for way in reached(text, {**model, "severity": "critical"})] == ["pagerduty"]
    assert [way.receiver for way in reached(text, {**model, "severity": "warning"})] == ["slack"]
    assert [way.receiver for way in reached(text, {"alertname": "Watchdog"})] == ["watchdog"]


@pytest.mark.parametrize("config", ["", "route: 3", "route: {receiver: a}\nreceivers: []", "route: [", "receivers: [{name: a}]"])
def test_a_configuration_without_a_tree_is_refused(config):
    with pytest.raises(RoutingError, match="cannot be read"):
        reached(config, {})


def test_a_text_that_is_no_matcher_is_refused():
    with pytest.raises(RoutingError, match="is no matcher; write name="):
        parse_matchers("severity")


def test_a_silence_mutes_what_all_its_matchers_fit():
    silence = [Matcher("ml_model_name", "churn"), Matcher("severity", "warn.*", regex=True)]
    assert mutes(silence, {"ml_model_name": "churn", "severity": "warning"})
    assert not mutes(silence, {"ml_model_name": "churn", "severity": "critical"})
    assert not mutes(silence, {"severity": "warning"})
