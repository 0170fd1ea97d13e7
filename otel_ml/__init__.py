"""Watch machine-learning models in production with the observability stack you already run.

Attach to the function that predicts; feature histograms, prediction distributions, confidence, latency and errors leave as
OpenTelemetry metrics, counted into the bins of a baseline that was made where the model was trained.
"""

from otel_ml import stats
from otel_ml._abstain import Abstain, Understood
from otel_ml._calls import Call
from otel_ml._events import record_outcome
from otel_ml._golden import Mismatch, Verification
from otel_ml._ids import current_prediction_ids
from otel_ml._shadow import shadow
from otel_ml._version import __version__
from otel_ml.baseline import Baseline
from otel_ml.errors import BaselineError, ConfigurationError, InvalidInput, OtelMLError, StatisticsError
from otel_ml.monitor import Monitor, monitor

from otel_ml import testing  # isort: skip  # it uses the monitor

__all__ = [
    "Abstain",
    "Baseline",
    "BaselineError",
    "Call",
    "ConfigurationError",
    "InvalidInput",
    "Mismatch",
    "Monitor",
    "OtelMLError",
    "StatisticsError",
    "Understood",
    "Verification",
    "__version__",
    "current_prediction_ids",
    "monitor",
    "record_outcome",
    "shadow",
    "stats",
    "testing",
]
