"""Logging in at other servers: what a file may say, and that no secret is ever shown."""

import pytest

from otel_ml.errors import ConfigurationError
from otel_ml_exporter.remote import load_access


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


def test_certificates_are_checked_unless_the_file_says_otherwise(tmp_path):
    assert load_access(written(tmp_path, "{}")).tls.check_hostname
    assert not load_access(written(tmp_path, "tls_config: {insecure_skip_verify: true}")).tls.check_hostname
