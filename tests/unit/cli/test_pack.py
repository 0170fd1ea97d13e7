"""The pack is known among loaded rules by its groups, whatever a site calls its alerts and severities."""

import pytest
import yaml

from otel_ml_exporter.cli.pack import alert_names, levels, own, usual_names
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render
from otel_ml_exporter.prometheus import Rule


def loaded(knobs):
    """The rules of a rendering, as Prometheus tells them."""
    groups = [group for text in render("rules", knobs).values() for group in yaml.safe_load(text)["groups"]]
    return [
        Rule(group["name"], rule.get("alert") or rule["record"], "alert" in rule, rule.get("labels", {}))
        for group in groups
        for rule in group["rules"]
    ]


@pytest.mark.parametrize("prefix", ["Model", "MlModel", "Risk", ""])
def test_alerts_are_known_whatever_they_begin_with(prefix):
    rules = loaded(Knobs(prefix=prefix))
    assert usual_names(rules) == alert_names()
    assert usual_names([Rule("node", "ServiceDown", True, {}), *rules]) == alert_names()
    assert len(own(rules)) == len(rules)


def test_severities_are_known_whatever_they_are_called():
    assert levels(loaded(Knobs())) == {"critical": "critical", "warning": "warning"}
    site = Knobs(
        prefix="Risk", severities={"critical": "page", "warning": "ticket", "ModelServiceDown": "warning", "ModelFeatureDrift": "info"}
    )
    assert levels(loaded(site)) == {"page": "critical", "ticket": "warning"}
    assert levels([]) == {"critical": "critical", "warning": "warning"}
    assert levels([], site) == {"page": "critical", "ticket": "warning"}


@pytest.mark.parametrize(("alert", "severity"), [("ModelServiceDown", "warning"), ("ModelFeatureDrift", "critical")])
def test_one_alert_with_another_severity_does_not_turn_the_words_round(alert, severity):
    assert levels([Rule("own", alert, True, {"severity": severity})])[severity] == severity
