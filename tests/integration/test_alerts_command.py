"""`otel-ml alerts` with a real Alertmanager and a receiver behind it."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from otel_ml_exporter.alertmanager import Alertmanager
from otel_ml_exporter.cli import main
from otel_ml_exporter.demo.receiver import Receiver
from support import eventually, free_port, running_alertmanager

pytestmark = pytest.mark.e2e

HASH = "$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW"
PASSWORD = "open sesame"


def webhook(name, url):
    return {"name": name, "webhook_configs": [{"url": url}]}


@pytest.fixture(scope="module")
def pager():
    server = Receiver()
    yield server
    server.close()


@pytest.fixture(scope="module")
def url(pager, tmp_path_factory):
    """An Alertmanager: critical goes to the pager, team=deaf to a port that nobody listens on, the rest to nobody."""
    routes = [
        {"matchers": ['team="deaf"'], "receiver": "deaf"},
        {"matchers": ['team="late"'], "receiver": "pager", "group_wait": "1h"},
        {"matchers": ['severity="critical"'], "receiver": "pager"},
    ]
    config = {
        "route": {"receiver": "nobody", "group_by": ["..."], "group_wait": "100ms", "group_interval": "200ms", "routes": routes},
        "receivers": [
            {"name": "nobody"},
            webhook("pager", f"{pager.url}/pager"),
            {"name": "deaf", "slack_configs": [{"api_url": f"http://127.0.0.1:{free_port()}", "channel": "#x"}]},
        ],
        "inhibit_rules": [
            {"source_matchers": ['severity="critical"'], "target_matchers": ['severity="warning"'], "equal": ["ml_model_name", "category"]}
        ],
    }
    with running_alertmanager(tmp_path_factory.mktemp("alertmanager"), config) as address:
        yield address


def run(capsys, url, *words):
    code = main(["alerts", words[0], f"--alertmanager={url}", *words[1:]])
    said = capsys.readouterr()
    return code, said.out, said.err


def fire(url, name, model, severity, **labels):
    given = {"alertname": name, "ml_model_name": model, "severity": severity, "category": "drift", **labels}
    with Alertmanager("Alertmanager", url) as server:
        server.post(given, {"summary": f"{name} of {model}"}, starts=time.time() - 3_662, ends=time.time() + 600)


def drills(pager, model):
    found = [alert for event in pager.events("/pager") for alert in event["alerts"]]
    return [alert for alert in found if alert["labels"]["ml_model_name"] == model]


def test_the_list_is_worst_first_and_says_what_is_muted(url, capsys):
    fire(url, "ModelFeatureDrift", "listed", "warning", ml_feature_name="age")
    fire(url, "ModelServiceDown", "listed", "critical")
    fire(url, "ModelServiceDown", "another", "critical")
    eventually(lambda: "muted by a larger fault" in run(capsys, url, "list", "--model=listed")[1], lambda: "not muted")
    code, out, _ = run(capsys, url, "list", "--model=listed")
    header, down, drift = out.splitlines()
    assert (code, header.split()[:3]) == (0, ["severity", "alert", "model"])
    assert down.split() == [
        "critical",
        "ModelServiceDown",
        "listed",
        "1h",
        "1m",
        "ago",
        "pager",
        "active",
        "ModelServiceDown",
        "of",
        "listed",
    ]
    assert "age" in drift
    found = json.loads(run(capsys, url, "list", "--model=listed", "--json")[1])
    assert [(each["labels"]["alertname"], each["receivers"]) for each in found] == [
        ("ModelServiceDown", ["pager"]),
        ("ModelFeatureDrift", ["nobody"]),
    ]
    assert "another" in run(capsys, url, "list")[1]
    assert run(capsys, url, "list", "--model=lsited")[:2] == (
        0,
        "nothing is firing for model lsited; something is for models listed, another\n",
    )


def test_a_drill_rings_says_that_it_is_one_and_resolves(url, pager, capsys):
    code, out, err = run(capsys, url, "test", "--model=churn", "--label=team=risk")
    assert (code, err) == (0, "")
    assert out.startswith("route      pager (webhook) after 0s\nnotified   webhook accepted 1 ")
    eventually(lambda: [each["status"] for each in drills(pager, "churn")][-1:] == ["resolved"], lambda: drills(pager, "churn"))
    first = drills(pager, "churn")[0]
    assert (first["status"], first["labels"]["severity"], first["labels"]["team"]) == ("firing", "critical", "risk")
    assert first["annotations"]["summary"] == "DRILL, nothing is wrong"


def test_a_drill_that_joins_a_group_waits_for_its_turn_and_rings_again_each_time(pager, tmp_path, capsys):
    """Without group_by all alerts are one group: it tells new ones at its next turn, even when those before are over."""
    route = {"receiver": "one", "group_wait": "100ms", "group_interval": "8s"}
    with running_alertmanager(tmp_path, {"route": route, "receivers": [webhook("one", f"{pager.url}/one")]}) as url:
        code, out, _ = run(capsys, url, "test", "--model=first")
        assert (code, out.startswith("route      one (webhook) after 0s\n")) == (0, True)
        code, out, _ = run(capsys, url, "test", "--model=first")
        assert (code, "after 0s, or within 8s in a group that has just fired" in out) == (0, True)
        fire(url, "ModelServiceDown", "living", "critical")
        code, out, _ = run(capsys, url, "test", "--model=second")
        assert (code, "one (webhook) within 8s, in a group that is already firing" in out) == (0, True)
        code, _, err = run(capsys, url, "test", "--model=third", "--wait=1s")
        assert (code, "within 1s; the route waits up to 8s, give a longer --wait" in err) == (1, True)


@pytest.fixture
def hosted(url):
    """The same Alertmanager as a host shows it: without its metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.forward()

        def do_POST(self):
            self.forward()

        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            passed = httpx.request(self.command, url + self.path, content=body, headers={"Content-Type": "application/json"})
            shown = not self.path.startswith("/metrics")
            self.send_response(passed.status_code if shown else 404)
            self.send_header("Content-Length", str(len(passed.content) if shown else 0))
            self.end_headers()
            self.wfile.write(passed.content if shown else b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_where_a_host_shows_no_metrics_the_drill_rings_and_says_that_it_cannot_see_it(hosted, pager, capsys):
    code, out, err = run(capsys, hosted, "test", "--model=hosted")
    assert (code, err) == (0, "")
    assert "notified   unknown: this Alertmanager exposes no metrics; look at the phone" in out
    eventually(lambda: drills(pager, "hosted"), lambda: pager.events("/pager"))


def test_a_route_to_nobody_is_a_no_before_anything_is_sent(url, capsys):
    code, _, err = run(capsys, url, "test", "--model=quiet", "--severity=warning")
    assert code == 1
    assert "routed to receiver 'nobody', which notifies nobody" in err
    assert run(capsys, url, "list", "--model=quiet")[1].startswith("nothing is firing for model quiet")


@pytest.mark.parametrize(
    ("team", "wait", "said"),
    [("deaf", "30s", "notifications through slack fail"), ("late", "2s", "no notification through webhook within 2s")],
)
def test_a_drill_that_arrives_nowhere_is_a_no_and_is_resolved_all_the_same(url, capsys, team, wait, said):
    code, _, err = run(capsys, url, "test", f"--model={team}", f"--label=team={team}", f"--wait={wait}")
    assert code == 1
    assert said in err
    eventually(lambda: run(capsys, url, "list", f"--model={team}")[1].startswith("nothing is firing"), lambda: "still there")


def test_a_silence_mutes_the_model_is_listed_and_ends(url, capsys):
    fire(url, "ModelFeatureDrift", "planned", "warning")
    code, out, _ = run(capsys, url, "silence", "--model=planned", "--for=2h", "--comment=retraining", "--author=ada")
    assert code == 0
    assert 'ml_model_name="planned"' in out
    assert "it mutes 1 of the alerts" in out
    listed = run(capsys, url, "silences", "--model=planned")[1]
    assert "ada" in listed
    assert "retraining" in listed
    eventually(lambda: "silenced by" in run(capsys, url, "list", "--model=planned")[1], lambda: "not silenced")
    code, _, err = run(capsys, url, "test", "--model=planned")
    assert code == 1
    assert "the drill is silenced by" in err
    assert run(capsys, url, "expire", "--model=planned")[0] == 0
    assert run(capsys, url, "silences", "--model=planned")[1] == "no silence of model planned\n"
    code, _, err = run(capsys, url, "expire", "--model=planned")
    assert code == 1
    assert "no silence is for model planned" in err


def test_texts_of_others_cannot_steer_the_terminal(url, capsys):
    name = "a\nb\x1b[2J\u202e"
    fire(url, "ModelFeatureDrift", name, "warning")
    eventually(lambda: "a\\nb\\x1b[2J\\u202e" in run(capsys, url, "list", f"--model={name}")[1], lambda: "not listed")
    for words in (["list"], ["list", f"--model={name}x"], ["silences"], ["silence", f"--model={name}", "--for=1s", "--comment=x"]):
        _, out, err = run(capsys, url, *words)
        assert out
        assert all(each.isprintable() or each == "\n" for each in out + err)


def test_a_silence_can_be_narrowed_and_its_id_ends_it(url, capsys):
    narrow = ["--alert=ModelFeatureDrift", '--feature=a"ge', "--category=drift", "--version=3"]
    _, out, err = run(capsys, url, "silence", "--model=narrow", "--for=8d", "--comment=x", *narrow)
    assert "longer than a week" in err
    identity = out.split()[1]
    (found,) = json.loads(run(capsys, url, "silences", "--model=narrow", "--json")[1])
    assert {each["name"]: each["value"] for each in found["matchers"]} == {
        "ml_model_name": "narrow",
        "alertname": "ModelFeatureDrift",
        "ml_feature_name": 'a"ge',
        "category": "drift",
        "ml_model_version": "3",
    }
    assert run(capsys, url, "expire", identity)[:2] == (0, f"silence {identity} ended\n")
    code, _, err = run(capsys, url, "expire", "no-such-id")
    assert code == 1
    assert "silence no-such-id is unknown or over; see `otel-ml alerts silences`" in err


@pytest.mark.parametrize(
    "words",
    [
        ["test"],
        ["silence", "--model=m", "--for=soon", "--comment=x"],
        ["silence", "--model=m", "--for=1h"],
        ["expire"],
        ["list", "--alertmanager=ftp://x"],
        ["test", "--model=m", "--label=alertname=ModelServiceDown"],
    ],
)
def test_wrong_usage_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["alerts", *words])
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_server_that_is_not_there_and_one_that_is_no_alertmanager_are_named(pager, capsys):
    assert "does not answer" in run(capsys, f"http://127.0.0.1:{free_port()}", "list")[2]
    code, _, err = run(capsys, pager.url, "list")
    assert code == 1
    assert "refuses api/v2/alerts" in err


def test_the_answers_have_every_field_that_the_published_description_of_the_api_promises(url):
    """Requests need no check of ours: the server validates them with the code that is generated from the description."""
    fire(url, "ModelFeatureDrift", "shaped", "warning")
    with Alertmanager("Alertmanager", url) as server:
        assert 0 < server.status().started <= time.time()
        (alert,) = [each for each in server.alerts() if each.labels["ml_model_name"] == "shaped"]
    raw = httpx.get(f"{url}/api/v2/alerts", params={"filter": ['ml_model_name="shaped"']}).json()[0]
    assert set(raw) >= {"labels", "annotations", "receivers", "fingerprint", "startsAt", "updatedAt", "endsAt", "status"}
    assert set(raw["status"]) >= {"state", "silencedBy", "inhibitedBy"}
    assert alert.fingerprint == raw["fingerprint"]
    assert time.time() - 3_800 < alert.since < time.time() - 3_600


def test_logging_in_takes_a_file_and_nothing_tells_the_password(tmp_path, capsys):
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{ada: '{HASH}'}}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "http.yml").write_text("basic_auth: {username: ada, password_file: password}\n")
    (tmp_path / "wrong.yml").write_text("basic_auth: {username: ada, password: shut sesame}\n")
    (tmp_path / "broken.yml").write_text("basic_auth: {username: ada, pasword: hidden}\nauthorization: {credentials: 12345678}\n")
    config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    with running_alertmanager(tmp_path, config, f"--web.config.file={tmp_path}/web.yml") as url:
        assert run(capsys, url, "list", f"--http-config={tmp_path}/http.yml")[0] == 0
        assert run(capsys, url.replace("//", "//ada:open%20sesame@"), "list")[0] == 0
        for words in (["list"], ["list", f"--http-config={tmp_path}/wrong.yml"]):
            code, _, err = run(capsys, url, *words)
            assert code == 1
            assert "lets nobody in (401); give --http-config FILE" in err
            assert "sesame" not in err
        code, _, err = run(capsys, url, "list", f"--http-config={tmp_path}/broken.yml")
    assert code == 2
    assert "basic_auth.pasword: is unknown; did you mean password?" in err
    assert "authorization: stands beside basic_auth" in err
    assert "hidden" not in err
    assert "12345678" not in err
