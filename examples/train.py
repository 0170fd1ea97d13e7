"""Train a small model on real data (569 tumours, 30 measurements each) and say what normal is: the model and its baseline, as files.

python examples/train.py sklearn        # or xgboost, onnx, torch
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otel_ml

FILES = Path(__file__).with_name("files")


def sklearn(X, y):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    joblib.dump(model, FILES / "model.joblib")
    return lambda rows: model.predict_proba(rows)[:, 1]


def xgboost(X, y):
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=20).fit(X, y)
    model.save_model(FILES / "model.ubj")
    return lambda rows: model.predict_proba(rows)[:, 1]


def onnx(X, y):
    from skl2onnx import to_onnx

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X.to_numpy(np.float32), y)
    graph = to_onnx(model, X.to_numpy(np.float32)[:1], options={"zipmap": False})
    (FILES / "model.onnx").write_bytes(graph.SerializeToString())
    return lambda rows: model.predict_proba(rows.to_numpy(np.float32))[:, 1]


def torch(X, y):
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
    rows, labels = torch.tensor(X.to_numpy(np.float32)), torch.tensor(y.to_numpy(np.float32))[:, None]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy(model(rows), labels).backward()
        optimizer.step()
    torch.save(model.eval(), FILES / "model.pt")
    with torch.inference_mode():
        return lambda rows: model(torch.tensor(rows.to_numpy(np.float32))).numpy(force=True)[:, 0]


def main():
    kinds = {kind.__name__: kind for kind in (sklearn, xgboost, onnx, torch)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=kinds)
    options = parser.parse_args()
    FILES.mkdir(exist_ok=True)
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X_train, X_valid, y_train, y_valid = train_test_split(X, y, test_size=0.4, random_state=0)
    predict = kinds[options.framework](X_train, y_train)
    baseline = otel_ml.Baseline.from_data(X_valid, model="tumour", version="1", predictions=predict(X_valid), labels=y_valid)
    baseline.save(FILES / "tumour-1.json")
    X_valid.head(3).to_json(FILES / "rows.json", orient="records")
    print(f"wrote the model, tumour-1.json and three rows to {FILES}")


if __name__ == "__main__":
    main()
