"""`otel-ml outcomes import`: rows of a file to an exporter, named where they are rejected, sent again where it asks for it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest
from pyarrow import parquet

from otel_ml_exporter.cli import main


@pytest.fixture
def server():
    """A server that asks to come again once, then answers as the exporter does; `came` are the rows that it took."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            rows = json.loads(self.rfile.read(int(self.headers["content-length"])))
            busy = not server.tokens
            server.tokens.append(self.headers["authorization"])
            rejected = [
                {"row": i, "field": "label", "problem": "is empty", "mend": "give it"} for i, row in enumerate(rows) if "label" not in row
            ]
            server.came += [] if busy else rows
            document = {"accepted": len(rows) - len(rejected), "results": {"matched": len(rows) - len(rejected)}, "rejected": rejected}
            self.send_response(429 if busy else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.came, server.tokens = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def imported(server, file, *options):
    return main(["outcomes", "import", str(file), "--url", f"http://127.0.0.1:{server.server_port}", *options])


def test_labels_of_a_csv_file_keep_their_spelling(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OTEL_ML_TOKEN", "in")
    (tmp_path / "labels.csv").write_text("id,churned,source,value\n007,yes,anna,2.5\n008,1,,\n")
    assert imported(server, tmp_path / "labels.csv", "--model", "churn", "--prediction-id", "id", "--label", "churned") == 0
    assert server.came == [
        {"model": "churn", "prediction_id": "007", "label": "yes", "source": "anna", "value": 2.5},
        {"model": "churn", "prediction_id": "008", "label": "1"},
    ]
    assert server.tokens == ["Bearer in"] * 2
    assert "2 rows: 2 matched" in capsys.readouterr().out


def test_an_empty_token_is_none(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_ML_TOKEN", "")
    (tmp_path / "labels.csv").write_text("prediction_id,label\na,1\n")
    assert imported(server, tmp_path / "labels.csv", "--model", "churn") == 0
    assert server.tokens == [None, None]


def test_a_rejected_row_of_a_parquet_file_is_named(server, tmp_path, capsys):
    table = pa.table({"model": ["churn"] * 2, "prediction_id": ["a", "b"], "label": [1, None]})
    parquet.write_table(table, tmp_path / "labels.parquet")
    assert imported(server, tmp_path / "labels.parquet") == 1
    assert "row 2, label: is empty; give it" in capsys.readouterr().err


def test_what_cannot_be_imported_is_said(server, tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("id,label\na,1\n")
    assert imported(server, tmp_path / "labels.csv") == 1
    assert "there is no column 'prediction_id'; name it with --prediction-id" in capsys.readouterr().err
