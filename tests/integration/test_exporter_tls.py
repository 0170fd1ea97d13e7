"""The exporter over TLS: real handshakes with certificates that are made here."""

import contextlib
import ssl
import subprocess
import sys

import httpx
import pytest
import yaml

from otel_ml import Baseline
from otel_ml_exporter.cli import main
from support import end, eventually, free_port

pytestmark = pytest.mark.e2e


def openssl(*arguments, directory):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and what it signed for the server and for a client: NAME.crt and NAME.key."""
    directory = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority", directory=directory)
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", directory=directory)
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt", directory=directory)
    return directory


@pytest.fixture
def served(certificates, tmp_path):
    """Start an exporter with these settings of TLS; its URL."""
    Baseline.from_data([{"age": float(age)} for age in range(100)], model="churn", version="3").save(tmp_path / "churn.json")
    with contextlib.ExitStack() as ending:

        def start(**settings):
            address = f"127.0.0.1:{free_port()}"
            files = {"cert_file": str(certificates / "server.crt"), "key_file": str(certificates / "server.key")}
            config = {"listen": address, "models": [{"baseline": "churn.json"}], "web": {"tls_server_config": files | settings}}
            (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(config))
            log = ending.enter_context((tmp_path / "log").open("w"))
            command = [sys.executable, "-m", "otel_ml_exporter.cli", "exporter", "run", "--config", str(tmp_path / "exporter.yaml")]
            process = subprocess.Popen(command, stderr=log)
            ending.callback(end, process)
            eventually(lambda: "listening on https://" in (tmp_path / "log").read_text(), (tmp_path / "log").read_text)
            return f"https://{address}"

        yield start


def context(certificates, *, client=False, newest=ssl.TLSVersion.TLSv1_3):
    """What a client knows: the authority, its own certificate perhaps, and its newest protocol."""
    known = ssl.create_default_context(cafile=certificates / "ca.crt")
    known.maximum_version = newest
    if client:
        known.load_cert_chain(certificates / "client.crt", certificates / "client.key")
    return known


def asked(url, verify):
    """The status of an answer, once the server listens; raises when the handshake fails."""
    with httpx.Client(verify=verify, transport=httpx.HTTPTransport(verify=verify, retries=3)) as client:
        return client.get(f"{url}/healthz").status_code


def test_a_client_that_knows_the_authority_is_served_and_old_protocols_are_not(served, certificates):
    url = served(min_version="TLS13")
    assert asked(url, context(certificates)) == 200
    with pytest.raises(httpx.TransportError):
        asked(url, context(certificates, newest=ssl.TLSVersion.TLSv1_2))
    with pytest.raises(httpx.TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        asked(url, ssl.create_default_context())


def test_clients_need_a_certificate_where_their_authority_is_named(served, certificates):
    url = served(client_ca_file=str(certificates / "ca.crt"))
    assert asked(url, context(certificates, client=True, newest=ssl.TLSVersion.TLSv1_2)) == 200
    with pytest.raises(httpx.TransportError):
        asked(url, context(certificates))


def test_outcomes_are_imported_with_the_certificates_of_a_file(served, certificates, tmp_path, capsys):
    url = served(client_ca_file=str(certificates / "ca.crt"))
    (tmp_path / "labels.csv").write_text("prediction_id,label\n8f3b,1\n")
    files = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}
    (certificates / "http.yml").write_text(yaml.safe_dump({"tls_config": files}))
    words = ["outcomes", "import", str(tmp_path / "labels.csv"), "--model=churn", f"--url={url}", f"--http-config={certificates}/http.yml"]
    assert main(words) == 0
    assert "1 rows: 1 waiting" in capsys.readouterr().out


def test_clients_may_come_without_a_certificate_where_it_is_verified_if_given(served, certificates):
    url = served(client_ca_file=str(certificates / "ca.crt"), client_auth_type="VerifyClientCertIfGiven")
    assert asked(url, context(certificates)) == asked(url, context(certificates, client=True)) == 200
