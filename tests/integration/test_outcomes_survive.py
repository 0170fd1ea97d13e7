"""What was acknowledged is on the disk: the exporter is killed at random points under load, and every acknowledged row is counted."""

import random
import signal
import subprocess
import sys
import threading
import time
from itertools import count

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from otel_ml_exporter.database import Database
from otel_ml_exporter.outcomes import cells, readout
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import OUTCOMES, PREDICTIONS
from support import eventually, free_port, running_postgresql

pytestmark = pytest.mark.e2e

KILLS = 4


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    with running_postgresql() as url:
        yield url


def predictions(ids):
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for identity in ids:
        record = scope.log_records.add(event_name=names.EVENT_PREDICTION, time_unix_nano=time.time_ns())
        texts = {names.MODEL_NAME: "churn", names.MODEL_VERSION: "3", names.PREDICTION_ID: identity, names.PREDICTION_CLASS: "1"}
        for key, value in texts.items():
            record.attributes.add(key=key).value.string_value = value
        record.attributes.add(key=names.PREDICTION_CONFIDENCE).value.double_value = 0.9
    return request.SerializeToString()


class Client(threading.Thread):
    """Sends batches of predictions and outcomes until the server dies, and remembers what was acknowledged."""

    def __init__(self, url, name):
        super().__init__()
        self.url, self.label = url, name
        self.predicted, self.labelled = set(), set()

    def run(self):
        with httpx.Client(base_url=self.url, timeout=20) as client:
            try:
                for batch in count():
                    ids = [f"{self.label}-{batch}-{row}" for row in range(50)]
                    rows = [{"model": "churn", "prediction_id": identity, "label": 1} for identity in ids]
                    answer = client.post("/v1/logs", content=predictions(ids), headers={"Content-Type": "application/x-protobuf"})
                    self.predicted.update(ids if answer.status_code == 200 else ())
                    answer = client.post("/v1/outcomes", json=rows)
                    self.labelled.update(ids if answer.status_code == 200 else ())
            except httpx.TransportError:
                return


def test_nothing_acknowledged_is_lost_however_often_the_exporter_is_killed(store, tmp_path):
    rows = np.random.default_rng(5).uniform(0, 1, (200, 1))
    baseline = Baseline.from_data(rows, model="churn", version="3", predictions=rows[:, 0], labels=(rows[:, 0] > 0.5).astype(int))
    baseline.save(tmp_path / "churn.json")
    url = f"http://127.0.0.1:{free_port()}"
    settings = {"listen": url[7:], "interval": "1s", "store": store, "models": [{"baseline": "churn.json"}]}
    (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "otel_ml_exporter.cli", "exporter", "run", "--config", str(tmp_path / "exporter.yaml")]
    clients = []
    for kill in range(KILLS):
        with (tmp_path / "log").open("a") as log:
            exporter = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200, (tmp_path / "log").read_text)
            running = [Client(url, f"{kill}-{index}") for index in range(3)]
            for client in running:
                client.start()
            clients += running
            before = sum(len(client.labelled) for client in clients)
            eventually(lambda: sum(len(client.labelled) for client in clients) > before, (tmp_path / "log").read_text)  # noqa: B023
            time.sleep(random.uniform(0, 0.5))
        finally:
            exporter.send_signal(signal.SIGKILL if kill < KILLS - 1 else signal.SIGTERM)
            exporter.wait()
        for client in running:
            client.join()
    database = Database(store)
    with database.read() as connection:
        predicted = set(connection.execute(sa.select(PREDICTIONS.c.prediction_id)).scalars())
        labelled = set(connection.execute(sa.select(OUTCOMES.c.prediction_id)).scalars())
    assert predicted >= set().union(*(client.predicted for client in clients)) > set()
    assert labelled >= set().union(*(client.labelled for client in clients)) > set()
    pairs = OutcomeStore(database).window("churn", "3", cells.ARRIVAL, 0, time.time())
    assert readout.count(pairs, cells.PAIR) == len(predicted & labelled)
    database.close()
