"""Watch machine-learning models in production with the observability stack you already run."""
from otel_ml.baseline import Baseline
