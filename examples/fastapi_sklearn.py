"""FastAPI and scikit-learn. No line of this file knows that it is watched.

pip install 'otel-ml[instrumentation,sdk]' opentelemetry-exporter-prometheus fastapi uvicorn pandas scikit-learn
python examples/train.py sklearn
export OTEL_ML_BASELINE=examples/files/tumour-1.json
export OTEL_METRICS_EXPORTER=prometheus OTEL_TRACES_EXPORTER=none OTEL_LOGS_EXPORTER=none
opentelemetry-instrument uvicorn --app-dir examples fastapi_sklearn:app
curl -H 'Content-Type: application/json' -d @examples/files/rows.json 127.0.0.1:8000/predict
curl -s 127.0.0.1:9464/metrics | grep ml_inference_rows
"""

from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI

app = FastAPI()
model = joblib.load(Path(__file__).with_name("files") / "model.joblib")


@app.post("/predict")
def predict(rows: list[dict[str, float]]) -> list[float]:
    return model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
