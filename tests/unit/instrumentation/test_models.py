"""Which baseline belongs to which model: by a file, by one variable, or by a word on the model; and faults stop the start."""

import gc
import json
import logging
import weakref

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from otel_ml import Baseline, ConfigurationError
from otel_ml.instrumentation._models import MAX_UNKNOWN
from otel_ml.instrumentation.sklearn import SklearnInstrumentor


@pytest.fixture
def models(problem):
    """Two fitted models of the same class, on 4 and on 2 features."""
    return LogisticRegression().fit(problem.X, problem.y), LogisticRegression().fit(problem.X[:, :2], problem.y)


@pytest.fixture(autouse=True)
def files(problem, baseline, tmp_path):
    """`churn.json` has 4 features, `risk.json` the first 2 of them."""
    baseline.save(tmp_path / "churn.json")
    narrow = Baseline.from_data(problem.X[:, :2], model="risk", version="1", feature_names=problem.names[:2])
    narrow.save(tmp_path / "risk.json")
    return tmp_path


def test_without_conditions_the_features_decide(watch, problem, models):
    watched = watch(SklearnInstrumentor, models=[{"baseline": "risk.json"}, {"baseline": "churn.json"}])
    models[0].predict(problem.X)
    models[1].predict(problem.X[:50, :2])
    assert (watched["churn"].rows, watched["risk"].rows) == (200, 50)


def test_a_model_that_fits_none_is_counted_by_its_class_and_said_to_be_unknown(watch, problem, caplog):
    watched = watch(SklearnInstrumentor, models=[{"baseline": "churn.json"}])
    other = LogisticRegression().fit(problem.X[:, :3], problem.y)
    with caplog.at_level(logging.WARNING):
        other.predict(problem.X[:, :3])
        other.predict(problem.X[:, :3])
    assert (watched["churn"].rows, watched["LogisticRegression"].rows) == (0, 400)
    assert [record.getMessage() for record in caplog.records if "fits no configured model" in record.getMessage()] == [caplog.messages[0]]


@pytest.mark.parametrize(
    "match",
    [
        {"class": "Pipeline"},
        {"class": "sklearn.pipeline.Pipeline", "framework": "sklearn"},
        {"features": 2},
    ],
)
def test_all_conditions_of_an_entry_must_hold_and_the_first_that_fits_wins(watch, problem, models, match):
    watched = watch(SklearnInstrumentor, models=[{"baseline": "risk.json", "match": match}, {"baseline": "churn.json"}])
    models[0].predict(problem.X)
    pipeline = make_pipeline(LogisticRegression()).fit(problem.X[:, :2], problem.y)
    pipeline.predict(problem.X[:9, :2])
    assert (watched["churn"].rows, watched["risk"].rows) == (200, 9)


def test_a_word_on_the_model_goes_before_everything(watch, problem, models):
    entries = [
        {"baseline": "churn.json"},
        {"model": "churn", "version": "4", "role": "canary", "match": {"framework": "keras"}},
        {"baseline": "risk.json"},
    ]
    watched = watch(SklearnInstrumentor, models=entries)
    models[0].otel_ml_model = "churn:4"
    models[0].predict(problem.X)
    models[1].otel_ml_model = "somebody's"
    models[1].predict(problem.X[:, :2])
    assert watched["churn"].features == {}
    assert (watched["churn"].rows, watched["risk"].rows, watched["somebody's"].rows) == (200, 0, 200)


def test_a_method_that_a_model_lacks_is_told(watch, problem, models, caplog):
    watched = watch(SklearnInstrumentor, models=[{"baseline": "churn.json", "method": "predict_probba"}])
    models[0].predict(problem.X)
    assert watched["churn"].rows == 0
    assert "has no method 'predict_probba'" in caplog.text


def test_a_model_is_forgotten_when_it_is_gone(watch, problem):
    watched = watch(SklearnInstrumentor)
    for _ in range(3):
        model = LogisticRegression().fit(problem.X, problem.y)
        model.predict(problem.X)
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None
    assert watched["LogisticRegression"].calls == 3


def test_the_number_of_names_is_bounded(watch, problem, models):
    watched = watch(SklearnInstrumentor)
    for number in range(MAX_UNKNOWN + 5):
        model = LogisticRegression().fit(problem.X, problem.y)
        model.otel_ml_model = f"customer {number}"
        model.predict(problem.X[:1])
    assert len(watched.models()) == MAX_UNKNOWN + 1
    assert watched["_OTHER"].calls == 5


def test_yaml_is_read_as_json_is(watch, problem, models, files, monkeypatch):
    (files / "models.yaml").write_text("models:\n  - baseline: churn.json\n    role: canary\n")
    monkeypatch.setenv("OTEL_ML_MODELS", str(files / "models.yaml"))
    watched = watch(SklearnInstrumentor)
    models[0].predict(problem.X)
    assert watched["churn"].rows == 200


BROKEN = {
    "no file": (None, "cannot be read"),
    "no JSON": ("{", "is not valid"),
    "no models": ("{}", "models: is no list"),
    "an unknown key": ('{"models": [{"baseline": "churn.json", "rolle": "canary"}]}', "models[0].rolle: is unknown"),
    "an option about answers": ('{"models": [{"baseline": "churn.json", "abstain": 1}]}', "models[0].abstain: is unknown"),
    "an option about what is returned": ('{"models": [{"baseline": "churn.json", "output": "x"}]}', "models[0].output: is unknown"),
    "an unknown framework": (
        '{"models": [{"baseline": "churn.json", "match": {"framework": "sklaern"}}]}',
        "models[0].match.framework: is 'sklaern'",
    ),
    "an unknown list": ('{"models": [{"baseline": "churn.json"}], "modles": []}', "modles: is unknown"),
    "an unknown condition": ('{"models": [{"baseline": "churn.json", "match": {"clas": "A"}}]}', "models[0].match.clas: is unknown"),
    "a condition of a wrong type": ('{"models": [{"baseline": "churn.json", "match": {"features": "4"}}]}', "models[0].match.features"),
    "no baseline there": ('{"models": [{"baseline": "nowhere.json"}]}', "models[0].baseline: "),
    "neither baseline nor name": ('{"models": [{"role": "canary"}]}', "models[0]: has neither"),
    "a broken option": ('{"models": [{"baseline": "churn.json", "events": 7}]}', "models[0].events: is 7"),
    "an option of a wrong type": (
        '{"models": [{"baseline": "churn.json", "events": "many"}]}',
        "models[0].events: is 'many'",
    ),
    "another version than the baseline's": ('{"models": [{"baseline": "churn.json", "model": "c"}]}', "models[0].model: is 'c'"),
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_stops_the_start_with_its_place(files, monkeypatch, text, expected):
    if text is not None:
        (files / "broken.json").write_text(text)
    monkeypatch.setenv("OTEL_ML_MODELS", str(files / "broken.json"))
    with pytest.raises(ConfigurationError) as caught:
        SklearnInstrumentor().instrument()
    assert expected in str(caught.value)
    assert not SklearnInstrumentor().is_instrumented_by_opentelemetry


def test_every_fault_is_named_at_once(files, monkeypatch):
    (files / "broken.json").write_text(json.dumps({"models": [{"baseline": "churn.json", "x": 1, "y": 2}, {}, []]}))
    monkeypatch.setenv("OTEL_ML_MODELS", str(files / "broken.json"))
    with pytest.raises(ConfigurationError) as caught:
        SklearnInstrumentor().instrument()
    assert [fault.place for fault in caught.value.faults] == ["models[0].x", "models[0].y", "models[1]", "models[2]"]


def test_one_variable_too_many_is_a_fault(files, monkeypatch):
    monkeypatch.setenv("OTEL_ML_MODELS", "models.json")
    monkeypatch.setenv("OTEL_ML_BASELINE", "churn.json")
    with pytest.raises(ConfigurationError, match="OTEL_ML_BASELINE: is set together with OTEL_ML_MODELS"):
        SklearnInstrumentor().instrument()


def test_a_fault_of_the_watch_reaches_nobody(watch, problem, monkeypatch, caplog):
    monkeypatch.setenv("OTEL_ML_STRICT", "")
    watched = watch(SklearnInstrumentor)

    class Shy(LogisticRegression):
        @property
        def otel_ml_model(self):
            raise RuntimeError("no questions")

    assert Shy().fit(problem.X, problem.y).predict(problem.X).shape == (200,)
    assert watched.models() == set()
    assert "no questions" in caplog.text
