"""FastAPI and the decorator: the same service, with the metrics set up in code; so it looks for any framework, or none.

pip install 'otel-ml[sdk]' opentelemetry-exporter-prometheus fastapi uvicorn pandas scikit-learn
python examples/train.py sklearn
uvicorn --app-dir examples fastapi_decorator:app
curl -H 'Content-Type: application/json' -d @examples/files/rows.json 127.0.0.1:8000/predict
curl -s 127.0.0.1:9464/metrics | grep ml_inference_rows
"""

import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

import otel_ml

FILES = Path(__file__).with_name("files")

start_http_server(int(os.environ.get("OTEL_EXPORTER_PROMETHEUS_PORT", "9464")), "127.0.0.1")
set_meter_provider(MeterProvider([PrometheusMetricReader()]))
app = FastAPI()
model = joblib.load(FILES / "model.joblib")


@otel_ml.monitor(FILES / "tumour-1.json")
def score(X: pd.DataFrame) -> list[float]:
    return model.predict_proba(X)[:, 1].tolist()


@app.post("/predict")
def predict(rows: list[dict[str, float]]) -> list[float]:
    return score(pd.DataFrame(rows))
