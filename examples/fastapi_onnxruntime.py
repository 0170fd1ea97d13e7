"""FastAPI and ONNX Runtime. No line of this file knows that it is watched.

pip install 'otel-ml[instrumentation,sdk]' opentelemetry-exporter-prometheus fastapi uvicorn pandas skl2onnx onnxruntime
python examples/train.py onnx
export OTEL_ML_BASELINE=examples/files/tumour-1.json
export OTEL_METRICS_EXPORTER=prometheus OTEL_TRACES_EXPORTER=none OTEL_LOGS_EXPORTER=none
opentelemetry-instrument uvicorn --app-dir examples fastapi_onnxruntime:app
curl -H 'Content-Type: application/json' -d @examples/files/rows.json 127.0.0.1:8000/predict
curl -s 127.0.0.1:9464/metrics | grep ml_inference_rows
"""

from pathlib import Path

import numpy as np
from fastapi import FastAPI
from onnxruntime import InferenceSession

app = FastAPI()
session = InferenceSession(Path(__file__).with_name("files") / "model.onnx")


@app.post("/predict")
def predict(rows: list[dict[str, float]]) -> list[float]:
    matrix = np.array([list(row.values()) for row in rows], dtype=np.float32)
    _, probabilities = session.run(None, {"X": matrix})
    return probabilities[:, 1].tolist()
