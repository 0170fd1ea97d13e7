"""Series under the names of OpenTelemetry, which only Prometheus 3 stores: the answer is that of its API, the server is not."""

from types import SimpleNamespace

import pytest

from otel_ml_exporter.cli.doctor.translation import renamed
from otel_ml_exporter.prometheus import Sample


def case(model, *series):
    """A visit to a server that has these series."""
    return SimpleNamespace(model=model, prometheus=SimpleNamespace(vector=lambda _: [Sample(labels, 1.0) for labels in series]))


DOTTED = {"__name__": "ml.model.info", "ml.model.name": "churn", "ml.model.version": "3"}
PREFIXED = {"__name__": "shop_ml_model_info", "ml_model_name": "churn", "ml_model_version": "3"}


@pytest.mark.parametrize(
    ("series", "found", "mend"),
    [
        (DOTTED, "ml.model.info, with OpenTelemetry's names", "translation_strategy: UnderscoreEscapingWithSuffixes"),
        (PREFIXED, "shop_ml_model_info, with a prefix", "`namespace: shop`"),
    ],
)
def test_the_setting_that_renames_the_series_is_named(series, found, mend):
    finding = renamed(case("churn", {**series, "ml_model_name": "other", "ml.model.name": "other"}, series))
    assert finding.state == "BROKEN"
    assert found in finding.found
    assert mend in finding.mend


def test_series_of_another_model_say_nothing():
    assert renamed(case("fraud", DOTTED, PREFIXED)) is None
