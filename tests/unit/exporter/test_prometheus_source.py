"""What a server answers that is no Prometheus, or not well; the well one is in the integration tests."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest

from otel_ml import catalogue as names
from otel_ml.errors import ConfigurationError
from otel_ml_exporter.config import PrometheusSettings, Window, parse
from otel_ml_exporter.counts import SourceError
from otel_ml_exporter.sources.prometheus import PrometheusSource

HOUR = Window("1h", 3_600.0)
EMPTY = '{"status": "success", "data": {"resultType": "vector", "result": []}}'


@pytest.fixture
def server():
    """A server that answers each query with `server.answers(query)`, a status and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.server.headers = self.headers
            self.server.times.append(float(form["time"][0]))
            status, body = self.server.answers(form["query"][0])
            self.send_response(status)
            self.end_headers()
            for part in [body] if isinstance(body, str) else body:
                self.wfile.write(part.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.times = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def source(server):
    source = PrometheusSource(PrometheusSettings(f"http://user:secret@127.0.0.1:{server.server_port}"))
    yield source
    source.close()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>", "without JSON"),
        (200, "[]", "something else"),
        (200, '{"status": "success", "data": {"result": [{"metric": {}}]}}', "something else"),
        (200, '{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}', "something else"),
        (422, '{"status": "error", "errorType": "execution", "error": "query timed out"}', "execution: query timed out"),
        (502, "bad gateway", "502"),
    ],
)
def test_an_answer_that_is_no_vector_is_one_typed_error_without_secrets(server, source, status, body, said):
    server.answers = lambda _: (status, body)
    with pytest.raises(SourceError, match=said) as caught:
        source.read([HOUR], 100.0)
    assert "secret" not in str(caught.value)


def test_a_server_that_never_ends_its_answer_is_not_waited_for(server):
    server.answers = lambda _: (200, (time.sleep(0.05) or " " for _ in range(1_000)))
    server.handle_error = lambda *_: None
    source = PrometheusSource(PrometheusSettings(f"http://127.0.0.1:{server.server_port}", timeout=1))
    with pytest.raises(SourceError, match=r"does not answer \(ReadTimeout: only \d+ bytes in 1 s\)"):
        source.read([HOUR], 100.0)
    source.close()


def test_a_server_that_asks_who_is_there_is_told_by_http_config(server, tmp_path):
    server.answers = lambda _: (401, "no org id")
    (tmp_path / "http.yml").write_text("authorization: {credentials: secret}\nhttp_headers: {X-Scope-OrgID: {values: [risk]}}\n")
    document = {
        "source": {"prometheus": {"url": f"http://127.0.0.1:{server.server_port}", "http_config": "http.yml"}},
        "models": [{"baseline": "churn.json"}],
    }
    source = PrometheusSource(parse(document, tmp_path).source)
    with pytest.raises(SourceError, match=r"lets nobody in \(401\); say in http_config how to log in"):
        source.read([HOUR], 100.0)
    source.close()
    assert (server.headers["Authorization"], server.headers["X-Scope-OrgID"]) == ("Bearer secret", "risk")
    (tmp_path / "http.yml").write_text("basic_auth: {password_file: gone}\n")
    with pytest.raises(ConfigurationError, match=r"http_config: names http.yml, where basic_auth.password_file names .*gone"):
        parse(document, tmp_path)


def test_numbers_that_are_none_and_series_without_a_model_are_left_out(server, source):
    def entry(model, value):
        return f'{{"metric": {{"ml_model_name": "{model}", "ml_model_version": "3", "ml_bin": "1"}}, "value": [0, "{value}"]}}'

    entries = ",".join([entry("churn", "12.5"), entry("nan", "NaN"), entry("inf", "+Inf"), entry("", "3"), entry("zero", "0")])
    answer = EMPTY.replace("[]", f"[{entries}]")
    server.answers = lambda query: (200, answer if names.PREDICTION_OBSERVATIONS.prometheus in query else EMPTY)
    (counts,) = source.read([HOUR], 100.0)[HOUR]
    assert (counts.model, counts.version, counts.baseline_id, counts.predictions) == ("churn", "3", "", {"1": 12.5})


def test_each_counter_is_asked_once_for_each_window(server, source):
    asked = []
    server.answers = lambda query: (asked.append(query), (200, EMPTY))[1]
    assert source.read([HOUR, Window("24h", 86_400.0)], 100.0) == {HOUR: [], Window("24h", 86_400.0): []}
    assert len(asked) == 14
    assert (
        "sum by (ml_model_name, ml_model_version, ml_baseline_id, ml_feature_name, ml_bin) "
        "(increase(ml_feature_observations_total[86400s]))" in asked
    )


def test_an_earlier_window_is_asked_at_its_own_time_and_left_out_where_nothing_is_remembered(server, source):
    server.answers = lambda _: (200, EMPTY)
    assert source.earlier([HOUR], 604_800.0) == {}
    assert set(server.times) == {604_800.0}
