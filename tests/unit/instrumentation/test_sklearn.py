"""scikit-learn: the outermost call of any estimator counts, once, and estimators stay what they were."""

import inspect
import pickle
import subprocess
import sys
import threading

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from otel_ml import Baseline, InvalidInput
from otel_ml.instrumentation.sklearn import SklearnInstrumentor

FORESTS = RandomForestClassifier(5, n_jobs=2, random_state=0)
MODELS = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    FORESTS,
    GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2),
    VotingClassifier([("a", LogisticRegression()), ("b", FORESTS)], voting="soft"),
    StackingClassifier([("a", LogisticRegression()), ("b", FORESTS)], cv=2),
    CalibratedClassifierCV(LogisticRegression(), cv=2),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_the_outermost_call_counts_once_and_fitting_does_not(watch, problem, baseline, model):
    watched = watch(SklearnInstrumentor, baseline)
    fitted = clone(model).fit(pd.DataFrame(problem.X, columns=problem.names), problem.y)
    assert watched.models() == set()
    answer = fitted.predict_proba(pd.DataFrame(problem.X[:50], columns=problem.names))
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped) == (1, 50, {})
    assert sum(churn.predictions.values()) == 50
    assert {name: sum(bins.values()) for name, bins in churn.features.items()} == dict.fromkeys(problem.names, 50)
    assert watched.models() == {"churn"}
    assert churn.predictions["1"] == (answer[:, 1] >= 0.5).sum()


def test_cross_validation_predicts_nothing(watch, problem, baseline):
    watched = watch(SklearnInstrumentor, baseline)
    cross_val_predict(LogisticRegression(), problem.X, problem.y, cv=2)
    cross_val_score(FORESTS, problem.X, problem.y, cv=2)
    LogisticRegression().fit(problem.X, problem.y).score(problem.X, problem.y)
    assert watched.models() == set()


def test_an_unknown_model_gives_latency_errors_and_rows_under_the_name_of_its_class(watch, problem):
    watched = watch(SklearnInstrumentor)
    model = LinearRegression().fit(problem.X, problem.y)
    model.predict(problem.X)
    with pytest.raises(ValueError, match="features"):
        model.predict(problem.X[:, :2])
    found = watched["LinearRegression"]
    assert (found.calls, found.failures, found.rows, found.version) == (2, 1, 400, "unknown")


def test_estimators_defined_before_and_after_count_and_so_do_those_that_inherit_from_no_scikit_learn_class_what_they_override(
    watch, problem
):
    watched = watch(SklearnInstrumentor)

    class Doubled(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.inner_ = LogisticRegression().fit(X, y)
            return self

        def predict(self, X):
            """Says it twice."""
            return self.inner_.predict(X) + self.inner_.predict(X)

    model = Doubled().fit(problem.X, problem.y)
    assert model.predict(problem.X[:5]).max() == 2
    KMeans(2, n_init=1).fit(problem.X).predict(problem.X[:3])
    assert {model: (watched[model].calls, watched[model].rows) for model in watched.models()} == {"Doubled": (1, 5), "KMeans": (1, 3)}
    assert (Doubled.predict.__doc__, list(inspect.signature(Doubled.predict).parameters)) == ("Says it twice.", ["self", "X"])


def test_each_thread_counts_for_itself(watch, problem, baseline):
    watched = watch(SklearnInstrumentor, baseline)
    model = RandomForestClassifier(5, n_jobs=2).fit(problem.X, problem.y)
    threads = [threading.Thread(target=model.predict_proba, args=(problem.X[:10],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (watched["churn"].calls, watched["churn"].rows) == (8, 80)


def test_the_configuration_says_which_method_counts(watch, problem, baseline, tmp_path):
    baseline.save(tmp_path / "churn.json")
    entry = {"baseline": "churn.json", "match": {"class": "IsolationForest"}, "method": "score_samples"}
    watched = watch(SklearnInstrumentor, models=[entry])
    model = IsolationForest(n_estimators=5).fit(problem.X)
    model.predict(problem.X)
    model.score_samples(problem.X[:7])
    assert (watched["churn"].calls, watched["churn"].rows) == (1, 7)


def test_the_configuration_may_reject_what_is_not_valid(watch, problem, tmp_path, monkeypatch):
    monkeypatch.delenv("OTEL_ML_STRICT")
    bounds = {"age": {"maximum": 10}}
    baseline = Baseline.from_data(problem.X, model="strict", version="1", feature_names=problem.names, schema=bounds)
    baseline.save(tmp_path / "strict.json")
    watched = watch(SklearnInstrumentor, models=[{"baseline": "strict.json", "on_invalid": "reject"}])
    model = LogisticRegression().fit(problem.X, problem.y)
    with pytest.raises(InvalidInput, match="row 0: age bounds"):
        model.predict_proba([[99.0, 0, 0, 0]])
    assert model.predict_proba(problem.X[:5]).shape == (5, 2)
    found = watched["strict"]
    assert (found.calls, found.failures, found.rows, found.errors) == (2, 1, 6, {})


def test_estimators_stay_what_they_were(watch, problem):
    watch(SklearnInstrumentor)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(problem.X, problem.y)
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(twin.predict_proba(problem.X), model.predict_proba(problem.X))
    assert pickle.loads(pickle.dumps(model.predict))(problem.X[:1]).shape == (1,)
    check_is_fitted(twin)
    assert not hasattr(make_pipeline(StandardScaler()).fit(problem.X), "predict")
    assert not hasattr(SVC(), "predict_proba")
    assert not hasattr(GridSearchCV(SVC(), {}), "predict_proba")
    assert str(inspect.signature(LogisticRegression.predict)) == "(self, X)"
    assert "X" in inspect.signature(model.predict).parameters
    assert type(clone(model)) is type(model)
    assert list(LogisticRegression.predict(model[-1], X=problem.X[:2])) == list(model[-1].predict(problem.X[:2]))


ELSEWHERE = """
import pickle, sys
sys.modules["otel_ml"] = None
model = pickle.loads(sys.stdin.buffer.read())
print(model.predict([[0.9], [0.1]]), model.predict_proba([[0.9]]))
"""


def test_an_estimator_of_a_notebook_goes_to_another_process_by_value_even_to_one_without_otel_ml(watch):
    """As joblib sends it to the workers of a search, and MLflow keeps it; there it is only called."""
    watched = watch(SklearnInstrumentor)

    class Mine(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            return self

        def predict(self, X):
            return [int(row[0] > 0.5) for row in X]

        @available_if(lambda _: True)
        def predict_proba(self, X):
            return [row[0] for row in X]

    model = Mine()
    assert (model.predict([[0.9]]), model.predict_proba([[0.9]])) == ([1], [0.9])
    sent = cloudpickle.dumps(model)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], input=sent, capture_output=True, timeout=60, check=False)
    assert (done.stdout.decode(), done.stderr.decode()) == ("[1, 0] [0.9]\n", "")
    assert watched["Mine"].calls == 2


def test_a_search_over_an_estimator_of_a_notebook_runs_in_processes(watch, problem):
    watched = watch(SklearnInstrumentor)

    class Mine(ClassifierMixin, BaseEstimator):
        def __init__(self, limit=0.0):
            self.limit = limit

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return (X[:, 0] > self.limit).astype(int)

    search = GridSearchCV(Mine(), {"limit": [0.0, 9.0]}, cv=2, n_jobs=2).fit(problem.X, problem.y)
    assert search.best_params_ == {"limit": 0.0}
    assert watched.models() == set()


def test_uninstrument_puts_everything_back(watch, problem):
    def attributes():
        classes = {owner for model in MODELS for owner in type(model).__mro__[:-1]}
        return {
            (owner, name): value
            for owner in classes
            for name, value in vars(owner).items()
            if name not in ("__doc__", "__abstractmethods__")
        }

    before = attributes()
    watched = watch(SklearnInstrumentor)
    assert any(value is not before.get(key) for key, value in attributes().items())
    model = LogisticRegression().fit(problem.X, problem.y)
    kept = model.predict
    SklearnInstrumentor().instrument()
    SklearnInstrumentor().uninstrument()
    SklearnInstrumentor().uninstrument()
    after = attributes()
    assert after.keys() == before.keys()
    assert [key for key in before if after[key] is not before[key]] == []
    model.predict(problem.X)
    kept(problem.X)
    assert watched.models() == set()


def test_classes_and_models_that_nobody_uses_any_more_are_let_go(watch, problem):
    import gc
    import weakref

    watch(SklearnInstrumentor)

    class Passing(LogisticRegression):
        def predict(self, X):
            return super().predict(X)

    model = Passing().fit(problem.X, problem.y)
    model.predict(problem.X)
    references = [weakref.ref(model), weakref.ref(Passing)]
    del model, Passing
    gc.collect()
    assert [reference() for reference in references] == [None, None]
