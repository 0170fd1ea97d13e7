"""Stories of promtool, told to the rules that they ask for: what else is in the files only takes time."""

import re
from pathlib import Path

import yaml


def alone(story, rules, directory):
    """The file of the story in `directory`, with the rules of the directory `rules` that it names, and all that these read."""
    groups = [group for name in story["rule_files"] for group in yaml.safe_load((rules / Path(name).name).read_text())["groups"]]
    said = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        said.setdefault(_name(rule), set()).update(_words(rule))
    wanted = _words(story["tests"]) & set(said)
    if "(ALERTS)" in str(story["tests"]):
        wanted |= {_name(rule) for group in groups for rule in group["rules"] if "alert" in rule}
    while read := {word for name in wanted for word in said[name] & set(said)} - wanted:
        wanted |= read
    kept = [{**group, "rules": [rule for rule in group["rules"] if _name(rule) in wanted]} for group in groups]
    (directory / "rules.yaml").write_text(yaml.safe_dump({"groups": [group for group in kept if group["rules"]]}))
    (directory / "story.yaml").write_text(yaml.safe_dump({**story, "rule_files": ["rules.yaml"]}, sort_keys=False))
    return directory / "story.yaml"


def _name(rule):
    return rule.get("alert") or rule["record"]


def _words(part):
    return set(re.findall(r"[\w:]+", str(part)))
