"""MLflow: a loaded model counts; the model that it wraps is part of it."""

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from otel_ml.instrumentation.mlflow import MLflowInstrumentor
from otel_ml.instrumentation.sklearn import SklearnInstrumentor

pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def loaded(problem, tmp_path_factory):
    """A scikit-learn model with a signature, saved and loaded."""
    import mlflow

    frame = pd.DataFrame(problem.X, columns=problem.names)
    path = tmp_path_factory.mktemp("mlflow") / "model"
    model = LogisticRegression().fit(frame, problem.y)
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(
        model, path, signature=signature, pip_requirements=[], serialization_format="cloudpickle", pyfunc_predict_fn="predict_proba"
    )
    return mlflow.pyfunc.load_model(str(path))


@pytest.mark.filterwarnings("ignore")
def test_a_prediction_of_any_flavour_counts_once(watch, problem, baseline, loaded):
    watched = watch(MLflowInstrumentor, baseline)
    watch(SklearnInstrumentor)
    answer = loaded.predict(pd.DataFrame(problem.X, columns=problem.names)[problem.names[::-1]])
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped) == (1, 200, {})
    assert churn.predictions["1"] == (answer[:, 1] >= 0.5).sum()
    assert watched.models() == {"churn"}


def test_uninstrument_puts_the_method_back(watch, loaded):
    before = dict(vars(type(loaded)))
    watch(MLflowInstrumentor)
    MLflowInstrumentor().uninstrument()
    assert dict(vars(type(loaded))) == before
