"""Logging in at other servers: what a file may say, and that no secret is ever shown."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from otel_ml.errors import ConfigurationError
from otel_ml_exporter import bounded
from otel_ml_exporter.cli import main
from otel_ml_exporter.prometheus import Prometheus
from otel_ml_exporter.remote import RemoteError, load_access


def written(directory, text, **files):
    for name, content in files.items():
        (directory / name).write_text(content)
    (directory / "http.yml").write_text(text)
    return directory / "http.yml"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("basic_auth: {username: ada, password: secret}", "Basic YWRhOnNlY3JldA=="),
        ("basic_auth: {username: ada, password_file: token}", "Basic YWRhOnNlY3JldA=="),
        ("authorization: {credentials: secret}", "Bearer secret"),
        ("authorization: {type: Token, credentials_file: token}", "Token secret"),
        ("{}", ""),
    ],
)
def test_a_file_gives_the_header_and_shows_no_secret(tmp_path, text, header):
    access = load_access(written(tmp_path, text, token="secret\n"))
    assert access.authorization == header
    assert "secret" not in repr(access)
    assert "Basic" not in repr(access)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("basic_auth: {username: ada, password_file: gone}", "basic_auth.password_file: names .*gone, which cannot be read"),
        ("basic_auth: {username: ada, password: 12345}", "basic_auth.password: is no text; put it in quotes"),
        ("tls_config: {ca_file: gone.pem}", "tls_config: cannot be used .*; name readable PEM files"),
        ("tls_config: {ca_file: token}", "tls_config: cannot be used"),
        ("oauth2: {}", "oauth2: is unknown"),
        ("[", "file: cannot be read .it is not YAML."),
    ],
)
def test_what_a_file_must_not_say_is_named(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_access(written(tmp_path, text, token="secret"))
    assert "12345" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http_headers: {X Y: {values: [a]}}", "http_headers.X Y: is no name of a header"),
        ("http_headers: {X-Key: {secrets: secret}}", "http_headers.X-Key.secrets: is no list of values"),
        ('http_headers: {X-Key: {secrets: ["a\\nsecret"]}}', "http_headers.X-Key.secrets: is no list of values"),
        ("http_headers: {X-Key: {files: [gone]}}", "http_headers.X-Key.files: names .*gone, which cannot be read"),
        ("http_headers: {X-Key: {value: secret}}", "http_headers.X-Key.value: is unknown; did you mean values?"),
    ],
)
def test_headers_that_are_none_are_named(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_access(written(tmp_path, text))
    assert "secret" not in str(refused.value).replace("secrets", "")


@pytest.fixture
def server():
    """A server that answers as the test wants, and keeps the headers that came."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.came.append(dict(self.headers))
            time.sleep(self.server.delay)
            status, headers, body = self.server.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for byte in body if self.server.pause else ():
                self.wfile.write(bytes([byte]))
                time.sleep(self.server.pause)
            self.wfile.write(b"" if self.server.pause else body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.came, running.delay, running.pause, running.answer = [], 0.0, 0.0, (200, {}, b"{}")
        running.handle_error = lambda *_: None
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (200, {}, b"<html>", "answers without JSON; is the URL that of Prometheus?"),
        (200, {}, b"null", "answers api/v1/rules in another form than Prometheus; is the URL that of Prometheus?"),
        (200, {}, b'{"data": {"groups": [7]}}', "in another form than Prometheus"),
        (302, {"Location": "https://sso.example/login?token=x"}, b"", r"\(302: it redirects to https://sso.example/login\); give the URL"),
        (401, {}, b"", r"lets nobody in \(401\); give --http-config"),
        (404, {}, b"no", r"\(404: no\); is the URL that of Prometheus, with the path under which it is served?"),
        (422, {}, b'{"error": "too many samples"}', r"\(422: too many samples\); ask for less"),
        (503, {}, b"", r"\(503: Service Unavailable\); read its log"),
    ],
)
def test_an_answer_that_is_none_is_told_with_what_to_do(server, status, headers, body, said):
    server.answer = status, headers, body
    with Prometheus("Prometheus", f"http://127.0.0.1:{server.server_port}") as remote, pytest.raises(RemoteError, match=said) as refused:
        remote.rules()
    assert refused.value.status == (0 if status == 200 else status)


def test_a_server_that_hangs_is_told_with_the_time_that_was_waited(server):
    server.delay = 0.5
    remote = Prometheus("Prometheus", f"http://127.0.0.1:{server.server_port}", timeout=0.1)
    with remote, pytest.raises(RemoteError, match=r"does not answer within 0\.1 s"):
        remote.rules()


def test_a_server_that_never_ends_its_answer_is_not_waited_for(server):
    """Each byte comes in time, all of them do not."""
    server.pause, server.answer = 0.05, (200, {}, b" " * 1_000)
    remote = Prometheus("Prometheus", f"http://127.0.0.1:{server.server_port}", timeout=1)
    with remote, pytest.raises(RemoteError, match=r"does not answer within 1 s"):
        remote.rules()


def test_an_answer_that_is_too_large_is_not_kept(server, monkeypatch):
    monkeypatch.setattr(bounded, "MOST_BYTES", 2**20)
    server.answer = 200, {}, b" " * (2**20 + 1)
    remote = Prometheus("Prometheus", f"http://127.0.0.1:{server.server_port}")
    with remote, pytest.raises(RemoteError, match=r"answers api/v1/rules with more than 1 MiB; ask for less"):
        remote.rules()


def test_headers_of_a_file_and_of_the_command_line_are_sent(server, tmp_path, capsys):
    server.answer = 200, {}, b"[]"
    text = "authorization: {credentials: secret}\nhttp_headers: {X-Scope-OrgID: {values: [risk]}, X-Key: {files: [token]}}"
    access = written(tmp_path, text, token="k\n")
    url = f"http://127.0.0.1:{server.server_port}/am"
    assert main(["alerts", "silences", f"--alertmanager={url}", f"--http-config={access}", "--header=X-Site=eu"]) == 0
    came = server.came[0]
    assert (came["X-Scope-OrgID"], came["X-Key"], came["X-Site"], came["Authorization"]) == ("risk", "k", "eu", "Bearer secret")
    with pytest.raises(SystemExit):
        main(["alerts", "silences", f"--alertmanager={url}", "--header=X Site=secret"])
    assert "secret" not in capsys.readouterr().err.replace("a secret one", "")


def test_a_variable_that_is_empty_is_none(server, monkeypatch):
    monkeypatch.setenv("OTEL_ML_HTTP_CONFIG", "")
    server.answer = 200, {}, b"[]"
    assert main(["alerts", "silences", f"--alertmanager=http://127.0.0.1:{server.server_port}"]) == 0


def test_certificates_are_checked_unless_the_file_says_otherwise(tmp_path):
    assert load_access(written(tmp_path, "{}")).tls.check_hostname
    assert not load_access(written(tmp_path, "tls_config: {insecure_skip_verify: true}")).tls.check_hostname
