"""gunicorn with two forked workers, and XGBoost: each worker pushes its metrics, so that no scrape meets the wrong one.

pip install 'otel-ml[exporter,instrumentation,sdk]' fastapi gunicorn uvicorn pandas scikit-learn xgboost
python examples/train.py xgboost
echo 'models: [{baseline: tumour-1.json}]' > examples/files/exporter.yaml
otel-ml exporter run --config examples/files/exporter.yaml &            # receives what the workers push, on 127.0.0.1:9469
export OTEL_ML_BASELINE=examples/files/tumour-1.json
export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9469 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_TRACES_EXPORTER=none OTEL_LOGS_EXPORTER=none OTEL_METRIC_EXPORT_INTERVAL=5000
opentelemetry-instrument gunicorn --chdir examples -w 2 -k uvicorn.workers.UvicornWorker gunicorn_xgboost:app
curl -H 'Content-Type: application/json' -d @examples/files/rows.json 127.0.0.1:8000/predict
curl -s 127.0.0.1:9469/metrics | grep ml_window_samples                    # within a minute
"""

from pathlib import Path

import pandas as pd
from fastapi import FastAPI
from xgboost import XGBClassifier

app = FastAPI()
model = XGBClassifier()
model.load_model(Path(__file__).with_name("files") / "model.ubj")


@app.post("/predict")
def predict(rows: list[dict[str, float]]) -> list[float]:
    return model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
