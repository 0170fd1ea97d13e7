"""`otel-ml baseline diff` and `show --feature`: what a reviewer sees."""

from __future__ import annotations

import json

import numpy as np
import pytest

from otel_ml import Baseline
from otel_ml_exporter.cli import main


@pytest.fixture
def saved(tmp_path):
    """Saves the baseline of some columns and gives its path."""

    def save(name, data, **options):
        path = tmp_path / f"{name}.json"
        Baseline.from_data(data, model="churn", version=name, **options).save(path)
        return str(path)

    return save


def changes(capsys, a, b, code):
    assert main(["baseline", "diff", "--json", a, b]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["different"] is bool(code)
    return {change["name"]: change for change in document["changes"]}


PLANS = ["free"] * 500 + ["paid"] * 300 + ["pro"] * 200


def test_a_baseline_is_the_same_as_itself(saved, capsys):
    a = saved("a", {"x": range(1_000), "plan": PLANS}, predictions=np.linspace(0, 1, 1_000), labels=[0, 1] * 500)
    found = changes(capsys, a, a, 0)
    assert list(found) == ["x", "plan", "(prediction)", "(confidence)"]
    assert all(change["psi"] == 0 and change["verdict"] == "same" for change in found.values())


def test_a_sample_of_the_same_traffic_is_no_drift_and_another_mix_is(saved, capsys):
    random = np.random.default_rng(0)
    a = saved("a", {"plan": PLANS})
    assert changes(capsys, a, saved("b", {"plan": random.choice(PLANS, 800)}), 0)["plan"]["verdict"] == "same"
    drifted = changes(capsys, a, saved("c", {"plan": PLANS[250:]}), 1)["plan"]
    assert drifted["verdict"] == "drift"
    assert drifted["psi"] > drifted["noise_floor"] > 0


def test_a_design_effect_raises_the_noise_floor(saved, capsys):
    day = np.repeat(np.random.default_rng(1).choice(["a", "b"], 40), 100)
    plain, replayed = (saved(name, {"c": day}, **options) for name, options in (("a", {}), ("b", {"key": np.arange(4_000) // 100})))
    floor = changes(capsys, plain, plain, 0)["c"]["noise_floor"]
    assert changes(capsys, plain, replayed, 0)["c"]["noise_floor"] > 50 * floor


def test_features_that_come_go_or_change_their_type_are_different(saved, capsys):
    a = saved("a", {"old": [1, 2, 3], "code": [1, 2, 3], "kept": [1, 2, 3]})
    found = changes(capsys, a, saved("b", {"new": [1, 2, 3], "code": ["1", "2", "3"], "kept": [1, 2, 3]}), 1)
    assert {name: change["verdict"] for name, change in found.items()} == {"old": "removed", "code": "type", "kept": "same", "new": "added"}


def test_categories_are_compared_in_the_bins_that_both_have(saved, capsys):
    found = changes(capsys, saved("a", {"plan": PLANS}), saved("b", {"plan": PLANS[:800] + ["gold"] * 200}), 0)["plan"]
    assert found["psi"] == pytest.approx(0)
    assert found["notes"] == ["new: gold", "gone: pro"]


def test_intervals_that_differ_are_said_to_be_incomparable(saved, capsys):
    found = changes(capsys, saved("a", {"x": range(100)}), saved("b", {"x": range(50, 200)}), 1)["x"]
    assert (found["verdict"], found["psi"]) == ("incomparable", None)
    assert found["notes"] == ["the bins differ; build B with --like A", "range 0 .. 99 -> 50 .. 199"]


def test_intervals_with_common_edges_are_joined_and_compared(saved, capsys):
    """Quarters and eighths have three edges in common; nothing is assumed about where in an interval values lie."""
    fours, eights = (saved(name, {"x": range(800)}, bins=bins) for name, bins in (("a", 4), ("b", 8)))
    assert changes(capsys, fours, eights, 0)["x"]["psi"] == 0
    moved = saved("c", {"x": [*range(400)] * 2 + [*range(400, 800)]}, bins=12)
    half = saved("d", {"x": [*range(400)] * 2 + [*range(400, 800)]}, bins=6)
    assert changes(capsys, moved, half, 0)["x"]["psi"] == 0


def test_people_see_a_table_and_how_quality_moved(saved, capsys):
    data = {"plan": PLANS}
    a = saved("a", data, predictions=["no", "yes"] * 500, labels=["no", "yes"] * 500)
    b = saved("b", data, predictions=["no", "yes"] * 500, labels=["no", "yes"] * 400 + ["no", "no"] * 100)
    assert main(["baseline", "diff", a, b]) == 0
    said = capsys.readouterr().out
    assert "churn a  1,000 rows" in said
    assert "accuracy 1 -> 0.9" in said


def test_show_has_importance_and_design_effect_where_there_are_any(saved, capsys):
    plain = saved("a", {"x": range(100)})
    assert main(["baseline", "show", plain]) == 0
    assert "importance" not in capsys.readouterr().out
    rich = saved("b", {"x": np.arange(4_000), "y": [1] * 4_000}, time=np.arange(4_000), importance={"x": 3, "y": 1})
    assert main(["baseline", "show", rich]) == 0
    said = capsys.readouterr().out
    assert "importance  design" in said
    assert "75.0%" in said


def test_show_draws_the_bins_of_one_feature(saved, capsys):
    path = saved("a", {"plan": PLANS})
    assert main(["baseline", "show", path, "--feature=plan"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "plan  categorical  3 categories"
    assert lines[2] == "free         500  50.0%  " + "█" * 40
    assert lines[3] == "paid         300  30.0%  " + "█" * 24
    assert main(["baseline", "show", path, "--feature=plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bins"] == {"free": 500, "paid": 300, "pro": 200, "__missing__": 0, "__other__": 0}
    assert main(["baseline", "show", path, "--feature=plans"]) == 1
    assert "feature 'plans': is not in it; it has plan" in capsys.readouterr().err


def test_each_of_several_outputs_is_compared_and_shown(saved, capsys):
    area = np.random.default_rng(0).normal(80, 20, 1_000)
    before, after = (
        saved(name, {"area": area}, predictions={"sold": (area / 200).clip(0, 1), "price": area * factor, **more})
        for name, factor, more in (("1", 3, {"kind": PLANS}), ("2", 3, {}))
    )
    found = changes(capsys, before, after, 1)
    assert (found["(price)"]["verdict"], found["(kind)"]["verdict"]) == ("same", "removed")
    assert main(["baseline", "show", before]) == 0
    assert "(kind)" in capsys.readouterr().out
