"""The energies of a model that answers with logits are compared with the baseline's, as distances are."""

import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.utils import shuffle

from otel_ml import Baseline, Monitor, testing
from otel_ml import catalogue as names
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate import evaluate
from otel_ml_exporter.thresholds import Limits


@pytest.fixture(scope="module")
def scores():
    """PSI and noise floor of the energies of rows that a model of the digits 0 to 7 is given."""
    pixels, labels = shuffle(*load_digits(return_X_y=True), random_state=0)
    known = labels < 8
    model = LogisticRegression(max_iter=500).fit(pixels[known][:500] / 16, labels[known][:500])
    logits = model.decision_function(pixels[known][500:1000] / 16)
    baseline = Baseline.from_data(pixels[known][500:1000], model="digits", version="1", predictions=logits, logits=True)

    def judge(rows):
        monitor = Monitor(baseline)
        monitor.wrap(lambda data: model.decision_function(data / 16))(rows)
        found = testing.collect(monitor)
        counts = ModelCounts(
            "digits", "1", baseline.fingerprint, found.features, {}, found.predictions, found.confidences, found.outliers, found.energies
        )
        readings = evaluate(baseline, [counts], "1h", Limits()).readings
        values = {metric: value for metric, _, value in readings if metric in (names.ENERGY_PSI, names.ENERGY_PSI_NOISE_FLOOR)}
        samples = [value for metric, labels, value in readings if metric is names.WINDOW_SAMPLES and labels[-1] == names.SIGNAL_ENERGY]
        assert samples == [len(rows)]
        return values[names.ENERGY_PSI], values[names.ENERGY_PSI_NOISE_FLOOR]

    return judge(pixels[known][1000:]), judge(pixels[~known])


def test_digits_of_the_kind_that_was_learnt_stay_below_the_noise_floor(scores):
    (psi, floor), _ = scores
    assert 0 <= psi < floor


def test_digits_that_were_never_learnt_are_far_over_it(scores):
    _, (psi, floor) = scores
    assert psi > 10 * floor
