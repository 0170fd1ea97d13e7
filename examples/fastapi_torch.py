"""FastAPI and PyTorch. No line of this file knows that it is watched.

pip install torch --index-url https://download.pytorch.org/whl/cpu
pip install 'otel-ml[instrumentation,sdk]' opentelemetry-exporter-prometheus fastapi uvicorn pandas scikit-learn
python examples/train.py torch
export OTEL_ML_BASELINE=examples/files/tumour-1.json
export OTEL_METRICS_EXPORTER=prometheus OTEL_TRACES_EXPORTER=none OTEL_LOGS_EXPORTER=none
opentelemetry-instrument uvicorn --app-dir examples fastapi_torch:app
curl -H 'Content-Type: application/json' -d @examples/files/rows.json 127.0.0.1:8000/predict
curl -s 127.0.0.1:9464/metrics | grep ml_inference_rows
"""

from pathlib import Path

import torch
from fastapi import FastAPI

app = FastAPI()
model = torch.load(Path(__file__).with_name("files") / "model.pt", weights_only=False)  # a file of our own


@app.post("/predict")
@torch.inference_mode()
def predict(rows: list[dict[str, float]]) -> list[float]:
    return model(torch.tensor([list(row.values()) for row in rows]))[:, 0].tolist()
