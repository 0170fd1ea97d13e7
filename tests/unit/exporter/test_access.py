"""Who may write and who may read: tokens by their hash, and what a refusal says."""

import asyncio
import hashlib
from contextlib import closing

import httpx
import pytest

from otel_ml.errors import ConfigurationError
from otel_ml_exporter.config import parse
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.web import application

ROW = {"model": "churn", "prediction_id": "a", "label": 1}


def token(name, text, *scopes):
    return {"name": name, "sha256": hashlib.sha256(text.encode()).hexdigest(), "scopes": list(scopes)}


@pytest.fixture
def ask(baseline, tmp_path):
    """Ask an exporter that lets `job` write and `prometheus` read."""
    baseline.save(tmp_path / "churn.json")
    web = {"tokens": [token("job", "in", "write"), token("prometheus", "out", "read")]}
    with closing(Exporter(parse({"models": [{"baseline": "churn.json"}], "web": web}, tmp_path))) as exporter:

        def ask(method, path, secret="", **options):
            async def send():
                transport = httpx.ASGITransport(application(exporter))
                async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
                    return await client.request(method, path, headers={"Authorization": secret} if secret else {}, **options)

            return asyncio.run(send())

        ask.exporter = exporter
        yield ask


def test_each_scope_needs_its_own_token(ask):
    assert ask("POST", "/v1/outcomes", "Bearer in", json=ROW).status_code == 200
    assert ask("GET", "/metrics", "Bearer out").status_code == 200
    assert ask("GET", "/healthz").status_code == 200
    for method, path, secret in (
        ("POST", "/v1/outcomes", "Bearer out"),
        ("POST", "/v1/logs", ""),
        ("GET", "/metrics", "Bearer in"),
        ("GET", "/", "Basic out"),
    ):
        refused = ask(method, path, secret, json=ROW if method == "POST" else None)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), path
        assert "in" not in refused.text.split('"')
    assert ask.exporter.intake.refusals()["token"] == 2


def test_the_log_says_who_wrote_labels_and_no_secret(ask, caplog):
    caplog.set_level("INFO")
    ask("POST", "/v1/outcomes", "Bearer in", json=[ROW, {**ROW, "prediction_id": "b"}])
    ask.exporter.tick(1e9)
    assert "audit: token job wrote 2 labels of model churn" in caplog.messages
    assert "Bearer" not in caplog.text


@pytest.mark.parametrize(
    ("web", "place"),
    [
        ({"tokens": [{"name": "job", "sha256": "secret"}]}, "web.tokens[0].sha256"),
        ({"tokens": [token("job", "in", "admin")]}, "web.tokens[0].scopes"),
        ({"tls_server_config": {"cert_file": "none.crt", "key_file": "churn.json"}}, "web.tls_server_config.cert_file"),
        ({"tls_server_config": {}}, "web.tls_server_config.cert_file"),
        (
            {"tls_server_config": {"cert_file": "churn.json", "key_file": "churn.json", "min_version": "TLS10"}},
            "web.tls_server_config.min_version",
        ),
        (
            {"tls_server_config": {"cert_file": "churn.json", "key_file": "churn.json", "client_auth_type": "RequireAnyClientCert"}},
            "web.tls_server_config.client_auth_type",
        ),
        (
            {"tls_server_config": {"cert_file": "churn.json", "key_file": "churn.json", "client_auth_type": "RequireAndVerifyClientCert"}},
            "web.tls_server_config.client_ca_file",
        ),
        (
            {
                "tls_server_config": dict.fromkeys(("cert_file", "key_file", "client_ca_file"), "churn.json")
                | {"client_auth_type": "NoClientCert"}
            },
            "web.tls_server_config.client_auth_type",
        ),
        ({"basic_auth_users": {}}, "web.basic_auth_users"),
    ],
)
def test_what_is_no_access_is_a_fault_and_shows_no_secret(baseline, tmp_path, web, place):
    baseline.save(tmp_path / "churn.json")
    with pytest.raises(ConfigurationError) as error:
        parse({"models": [{"baseline": "churn.json"}], "web": web}, tmp_path)
    assert error.value.faults[0].place == place
    assert "secret" not in str(error.value)
