"""The example configuration in a real Alertmanager: who is told, how often, and what stays quiet behind a larger fault."""

import json
import math
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml
from aiosmtpd.controller import Controller

from otel_ml_exporter.cli.backtest.notifications import Fired, notifications
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render, write
from otel_ml_exporter.mixin.rules import groups
from support import end, eventually, free_port, running_alertmanager

pytestmark = pytest.mark.e2e

ALERTS = {alert.name: alert for group in groups(Knobs()) for alert in group.alerts}
CONFIG = "alert_rules/alertmanager/alertmanager.example.yaml"
MUTED = [
    ("ModelServiceDown", "ModelMetricsAbsent"),
    ("ModelServiceDown", "ModelErrorBudgetBurn"),
    ("ModelServiceDown", "ModelOutputCollapsed"),
    ("ModelServiceDown", "ModelFeatureDrift"),
    ("ModelServiceDown", "ModelMonitorUnhealthy"),
    ("ModelMetricsAbsent", "ModelInputDataBroken"),
    ("ModelMetricsAbsent", "ModelMiscalibrated"),
    ("ModelInputDataBroken", "ModelFeatureDrift"),
    ("ModelInputDataBroken", "ModelDatasetDrift"),
    ("ModelInputDataBroken", "ModelPredictionShift"),
    ("ModelInputDataBroken", "ModelMiscalibrated"),
    ("ModelOutputCollapsed", "ModelPredictionShift"),
    ("ModelDatasetDrift", "ModelFeatureDrift"),
    ("ModelBaselineMissing", "ModelFeatureDrift"),
    ("ModelBaselineMissing", "ModelDatasetDrift"),
    ("ModelCanaryWorse", "ModelCanaryDiffers"),
    ("ModelInputDataBroken", "ModelConfidenceDropped"),
    ("ModelErrorBudgetBurn", "ModelReplicasDown"),
    ("ModelStuckInput", "ModelFeatureDrift"),
    ("ModelStuckInput", "ModelEstimatedAccuracyLow"),
    ("ModelFeatureDrift", "ModelOutliersRising"),
    ("ModelDatasetDrift", "ModelDomainShift"),
]
HEARD = [
    ("ModelBaselineStale", "ModelFeatureDrift"),
    ("ModelFeatureDrift", "ModelPredictionShift"),
    ("ModelStuckInput", "ModelPredictionShift"),
    ("ModelFeatureDrift", "ModelEstimatedAccuracyLow"),
    ("ModelDatasetDrift", "ModelMiscalibrated"),
    ("ModelErrorBudgetBurn", "ModelOutputCollapsed"),
    ("ModelInputDataBroken", "ModelErrorBudgetBurn"),
    ("ModelMonitorUnhealthy", "ModelFeatureDrift"),
]


class Recorder:
    """An HTTP server that plays PagerDuty, Slack and a dead man's switch, and remembers what it was sent."""

    def __init__(self):
        self.received = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                recorder.received.append((self.path, body))
                answer = json.dumps({"status": "success", "message": "Event processed", "dedup_key": body.get("dedup_key")}).encode()
                self.send_response(202 if self.path == "/v2/enqueue" else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def pages(self, model):
        """The events of a model's pages, in their order."""
        return [body for path, body in list(self.received) if path == "/v2/enqueue" and body["payload"].get("component") == model]

    def hooks(self, model):
        """What the pipeline was told about a model."""
        return [body for path, body in list(self.received) if path == "/rollout" and body["groupLabels"]["ml_model_name"] == model]

    def chats(self, model):
        """The Slack messages about a model."""
        messages = [body["attachments"][0] for path, body in list(self.received) if path == "/slack"]
        return [message for message in messages if f" {model}:" in message["title"]]


@pytest.fixture(scope="module")
def recorder():
    server = Recorder()
    yield server
    server.close()


class Mailbox:
    """A mail server that keeps what it is sent."""

    def __init__(self):
        self.received = []
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self.controller.start()

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  the name that aiosmtpd calls
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def about(self, model):
        return [mail for mail in list(self.received) if f" {model}:" in mail["Subject"]]


@pytest.fixture(scope="module")
def mailbox():
    box = Mailbox()
    yield box
    box.controller.stop()


@pytest.fixture(scope="module")
def alertmanager(recorder, mailbox, tmp_path_factory):
    """An Alertmanager with the example configuration, a hundred times as fast; its API as a client."""
    with running_example(tmp_path_factory.mktemp("alertmanager"), recorder, mailbox, pace=0.01) as client:
        yield client


@contextmanager
def running_example(directory, recorder, mailbox, pace):
    """An Alertmanager with the example configuration."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "Alertmanager is not on the PATH; install it (Debian package: prometheus-alertmanager)"
    (directory / "key").write_text("R0UT1NGKEY")
    (directory / "slack").write_text(f"{recorder.url}/slack")
    knobs = Knobs(
        pace=pace,
        pagerduty_url=f"{recorder.url}/v2/enqueue",
        pagerduty_key_file=str(directory / "key"),
        slack_url_file=str(directory / "slack"),
        watchdog_url=f"{recorder.url}/watchdog",
        webhook_url=f"{recorder.url}/rollout",
        smtp_smarthost=f"127.0.0.1:{mailbox.controller.port}",
        smtp_tls=False,
        business_days="sunday:saturday",
        business_hours="00:00-24:00",
    )
    write(render("alertmanager", knobs), directory)
    port = free_port()
    options = [f"--config.file={directory / CONFIG}", f"--storage.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (directory / "log").open("wb") as log, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        process = subprocess.Popen([program, *options, "--cluster.listen-address="], stdout=log, stderr=log)
        try:
            eventually(lambda: client.get("/-/ready").status_code == 200, (directory / "log").read_text)
            yield client
        finally:
            end(process)


def alert(name, model, *, ended=False, **labels):
    """An alert as Prometheus posts it, with the labels and annotations of its rule."""
    rule = ALERTS[name].render(Knobs())
    now = datetime.now(timezone.utc)
    return {
        "labels": {"alertname": name, "ml_model_version": "3", **rule["labels"], "ml_model_name": model, **labels},
        "annotations": {**rule["annotations"], "summary": f"{name} speaks"},
        "startsAt": (now - timedelta(minutes=5) if ended else now).isoformat(),
        "endsAt": (now - timedelta(seconds=1) if ended else now + timedelta(minutes=5)).isoformat(),
    }


def action(name):
    return ALERTS[name].render(Knobs())["annotations"]["action"]


def post(client, *alerts):
    assert client.post("/api/v2/alerts", json=list(alerts)).status_code == 200


def state(client, name, model):
    """`active` or `suppressed`."""
    found = client.get("/api/v2/alerts", params={"filter": [f'alertname="{name}"', f'ml_model_name="{model}"']}).json()
    return found[0]["status"]["state"] if found else None


def test_a_page_fires_and_resolves_under_one_dedup_key(alertmanager, recorder):
    post(alertmanager, alert("ModelErrorBudgetBurn", "pay"))
    eventually(lambda: recorder.pages("pay"), lambda: recorder.received)
    post(alertmanager, alert("ModelErrorBudgetBurn", "pay", ended=True))
    eventually(lambda: len(recorder.pages("pay")) == 2, lambda: recorder.pages("pay"))
    fired, resolved = recorder.pages("pay")
    assert (fired["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert fired["dedup_key"] == resolved["dedup_key"]
    assert fired["routing_key"] == "R0UT1NGKEY"
    assert fired["payload"]["severity"] == "critical"
    assert fired["payload"]["summary"] == "[pay] ModelErrorBudgetBurn speaks"
    assert (fired["payload"]["class"], fired["payload"]["group"]) == ("ModelErrorBudgetBurn", "serving")
    assert fired["links"] == [{"href": ALERTS["ModelErrorBudgetBurn"].render(Knobs())["annotations"]["runbook_url"], "text": "Runbook"}]
    assert "/d/otel-ml-serving" in fired["client_url"]
    assert fired["payload"]["custom_details"]["what_to_do"] == action("ModelErrorBudgetBurn")
    assert not recorder.chats("pay")


def test_many_features_are_one_page_with_a_short_list(alertmanager, recorder):
    post(alertmanager, *(alert("ModelInputDataBroken", "wide", ml_feature_name=f"f{number}") for number in range(15)))
    eventually(lambda: recorder.pages("wide"), lambda: recorder.received)
    time.sleep(1)
    assert len(recorder.pages("wide")) == 1
    details = recorder.pages("wide")[0]["payload"]["custom_details"]
    assert details["firing"].count("ModelInputDataBroken: ") == 10
    assert "All 15 are in Alertmanager." in details["firing"]
    assert len(json.dumps(recorder.pages("wide")[0])) < 512_000


def test_each_symptom_of_each_model_is_a_page_of_its_own(alertmanager, recorder):
    post(alertmanager, *(alert(name, model) for name in ("ModelErrorBudgetBurn", "ModelOutputCollapsed") for model in ("one", "two")))
    eventually(lambda: len(recorder.pages("one")) == len(recorder.pages("two")) == 2, lambda: recorder.received)
    assert len({page["dedup_key"] for model in ("one", "two") for page in recorder.pages(model)}) == 4


def test_chat_gathers_the_warnings_of_a_model_by_category(alertmanager, recorder):
    drifting = [alert("ModelFeatureDrift", "chatty", ml_feature_name=f"f{number}") for number in range(3)]
    post(alertmanager, *drifting, alert("ModelMiscalibrated", "chatty"))
    eventually(lambda: len(recorder.chats("chatty")) == 2, lambda: recorder.received)
    assert sorted(message["title"] for message in recorder.chats("chatty")) == ["FIRING chatty: drift (3)", "FIRING chatty: quality (1)"]
    assert not recorder.pages("chatty")


def test_chat_leads_each_alert_to_its_runbook_shows_classes_as_they_are_and_says_what_is_over(alertmanager, recorder):
    shifted = alert("ModelPredictionShift", "census")
    shifted["annotations"]["description"] = "Answers: <=50K 120, >50K 3 & more."
    post(alertmanager, shifted, alert("ModelConfidenceDropped", "census"))
    eventually(lambda: recorder.chats("census"), lambda: recorder.received)
    post(alertmanager, alert("ModelConfidenceDropped", "census", ended=True))
    eventually(lambda: len(recorder.chats("census")) == 2, lambda: recorder.chats("census"))
    fired, mixed = recorder.chats("census")
    assert (fired["title"], mixed["title"]) == ("FIRING census: output (2)", "FIRING census: output (1, 1 resolved)")
    runbooks = Knobs().runbook_url
    said = f"Answers: &lt;=50K 120, &gt;50K 3 &amp; more. {action('ModelPredictionShift')}"
    assert f"<{runbooks}ModelPredictionShift.md|ModelPredictionShift>: {said}" in fired["text"]
    assert f"\n<{runbooks}ModelConfidenceDropped.md|ModelConfidenceDropped>: " in f"\n{fired['text']}"
    assert f"\nresolved: <{runbooks}ModelConfidenceDropped.md|ModelConfidenceDropped>: " in f"\n{mixed['text']}"


def test_labels_go_out_by_mail_and_resolve(alertmanager, recorder, mailbox):
    post(alertmanager, alert("ModelLabelsStale", "mailed"), alert("ModelLabelDelayHigh", "mailed"))
    eventually(lambda: mailbox.about("mailed"), lambda: mailbox.received)
    post(alertmanager, alert("ModelLabelsStale", "mailed", ended=True), alert("ModelLabelDelayHigh", "mailed", ended=True))
    eventually(lambda: len(mailbox.about("mailed")) == 2, lambda: mailbox.about("mailed"))
    fired, resolved = mailbox.about("mailed")
    assert fired["Subject"] == "FIRING mailed: labels (2)"
    assert resolved["Subject"] == "RESOLVED mailed: labels (2)"
    assert fired["To"] == Knobs().email_to
    text = fired.get_body(("plain",)).get_content()
    assert action("ModelLabelsStale") in text
    assert all(f"/runbooks/{name}.md" in text for name in ("ModelLabelsStale", "ModelLabelDelayHigh"))
    assert not recorder.pages("mailed")
    assert not recorder.chats("mailed")


def test_a_rollout_tells_the_pipeline_and_the_person_and_takes_both_back(alertmanager, recorder):
    post(alertmanager, alert("ModelCanaryWorse", "canary", ml_model_version="4"), alert("ModelShadowDisagrees", "shadow"))
    eventually(lambda: recorder.hooks("canary") and recorder.pages("canary") and recorder.chats("shadow"), lambda: recorder.received)
    assert recorder.hooks("canary")[0]["alerts"][0]["labels"]["ml_model_version"] == "4"
    assert recorder.hooks("shadow")[0]["status"] == "firing"
    post(alertmanager, alert("ModelCanaryWorse", "canary", ml_model_version="4", ended=True))
    eventually(lambda: recorder.hooks("canary")[-1]["status"] == "resolved", lambda: recorder.hooks("canary"))
    eventually(lambda: len(recorder.pages("canary")) == 2, lambda: recorder.pages("canary"))
    first, last = recorder.hooks("canary")[0], recorder.hooks("canary")[-1]
    assert first["groupKey"] == last["groupKey"]
    assert len({page["dedup_key"] for page in recorder.pages("canary")}) == 1


def test_the_watchdog_goes_to_the_dead_mans_switch_again_and_again(alertmanager, recorder):
    def beats():
        return [body for path, body in list(recorder.received) if path == "/watchdog"]

    post(alertmanager, alert("Watchdog", "all"))
    eventually(lambda: len(beats()) >= 2, beats)
    assert not recorder.chats("all")


def test_a_model_that_is_called_as_the_watchdog_is_labelled_does_not_mute_it(alertmanager):
    post(alertmanager, alert("Watchdog", "all"), alert("ModelServiceDown", "all"), alert("ModelFeatureDrift", "all"))
    eventually(
        lambda: state(alertmanager, "ModelFeatureDrift", "all") == "suppressed", lambda: state(alertmanager, "ModelFeatureDrift", "all")
    )
    assert state(alertmanager, "Watchdog", "all") == "active"


@pytest.mark.parametrize(("source", "target"), MUTED)
def test_a_larger_fault_mutes_what_follows_from_it_for_the_same_model_only(alertmanager, source, target):
    model = f"muted-{source}-{target}"
    post(alertmanager, alert(source, model), alert(target, model), alert(target, f"{model}-other"))
    eventually(lambda: state(alertmanager, target, model) == "suppressed", lambda: state(alertmanager, target, model))
    eventually(lambda: state(alertmanager, target, f"{model}-other") == "active", lambda: state(alertmanager, target, f"{model}-other"))
    assert state(alertmanager, source, model) == "active"


@pytest.mark.parametrize(("source", "target"), HEARD)
def test_what_does_not_follow_from_a_fault_is_heard(alertmanager, recorder, source, target):
    model = f"heard-{source}-{target}"
    post(alertmanager, alert(source, model), alert(target, model))
    eventually(lambda: target in str(recorder.pages(model) + recorder.chats(model)), lambda: recorder.received)
    assert state(alertmanager, target, model) == "active"


def test_inhibited_alerts_are_never_delivered(alertmanager, recorder):
    post(alertmanager, alert("ModelServiceDown", "quiet"))
    post(alertmanager, alert("ModelErrorBudgetBurn", "quiet"), alert("ModelFeatureDrift", "quiet"), alert("ModelErrorBudgetBurn", "loud"))
    eventually(lambda: recorder.pages("quiet") and recorder.pages("loud"), lambda: recorder.received)
    time.sleep(2)
    assert {page["payload"]["class"] for page in recorder.pages("quiet")} == {"ModelServiceDown"}
    assert not recorder.chats("quiet")


def test_the_replay_tells_the_same_in_the_same_order(recorder, mailbox, tmp_path):
    """Grouped, muted behind a page, told when the page ends, and told what is resolved; with seconds between one turn and the next."""
    config = yaml.safe_load(render("alertmanager", Knobs(pace=0.03))[CONFIG])
    age, plan, outliers, broken = steps = [
        (0.0, math.inf, alert("ModelFeatureDrift", "told", ml_feature_name="age")),
        (6.0, 24.0, alert("ModelFeatureDrift", "told", ml_feature_name="plan")),
        (0.0, math.inf, alert("ModelOutliersRising", "told")),
        (6.0, 12.0, alert("ModelInputDataBroken", "told", ml_feature_name="plan")),
    ]
    fired = [Fired(tuple(sorted(what["labels"].items())), start, end) for start, end, what in steps]
    expected = notifications(config, fired, 33.0)
    chats = [len(each.firing | each.resolved) for each in expected if each.receiver == "slack"]
    pages = ["trigger" if each.firing else "resolve" for each in expected if each.receiver == "pagerduty"]
    assert (chats, pages) == ([1, 2, 2], ["trigger", "resolve"])

    def told():
        counted = [sum(map(int, re.findall(r"\d+", chat["title"]))) for chat in recorder.chats("told")]
        return counted, [page["event_action"] for page in recorder.pages("told")]

    with running_example(tmp_path, recorder, mailbox, pace=0.03) as client:
        begin = time.time()
        for at, started, ended in ((0.0, (age, outliers), ()), (6.0, (plan, broken), ()), (12.0, (), (broken,)), (24.0, (), (plan,))):
            time.sleep(max(0.0, begin + at - time.time()))
            now = datetime.now(timezone.utc)
            post(
                client,
                *({**what, "startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=5)).isoformat()} for *_, what in started),
                *({**what, "startsAt": (now - timedelta(seconds=2)).isoformat(), "endsAt": now.isoformat()} for *_, what in ended),
            )
        eventually(lambda: told() == (chats, pages), told)


def test_a_missing_label_mutes_nobody_elses_alerts(alertmanager):
    foreign = {"labels": {"alertname": "DiskFull", "severity": "warning", "host": "db"}}
    critical = {"labels": {"alertname": "DatabaseDown", "severity": "critical", "host": "db"}}
    post(alertmanager, critical, foreign)
    eventually(lambda: alertmanager.get("/api/v2/alerts", params={"filter": ['alertname="DiskFull"']}).json(), lambda: "not there")
    time.sleep(0.5)
    found = alertmanager.get("/api/v2/alerts", params={"filter": ['alertname="DiskFull"']}).json()
    assert found[0]["status"]["state"] == "active"


def test_an_environment_that_is_down_mutes_itself_alone(tmp_path):
    config = yaml.safe_load(render("alertmanager", Knobs(pace=0.01, group_labels=["namespace"], prefix="Risk"))[CONFIG])
    with running_alertmanager(tmp_path, config) as url, httpx.Client(base_url=url, timeout=30) as client:
        down = alert("ModelServiceDown", "churn", alertname="RiskServiceDown", namespace="staging")
        drifts = [alert("ModelFeatureDrift", "churn", alertname="RiskFeatureDrift", namespace=place) for place in ("staging", "prod")]
        post(client, down, *drifts)

        def states():
            found = client.get("/api/v2/alerts", params={"filter": 'alertname="RiskFeatureDrift"'}).json()
            return {each["labels"]["namespace"]: each["status"]["state"] for each in found}

        eventually(lambda: states() == {"staging": "suppressed", "prod": "active"}, states)


@pytest.mark.parametrize(
    ("severities", "receiver"), [({}, "pagerduty"), ({"ModelServiceDown": "warning"}, "slack"), ({"critical": "page"}, "pagerduty")]
)
def test_who_is_told_follows_the_severities_of_the_site(severities, receiver, tmp_path):
    knobs = Knobs(severities=severities)
    write(render("alertmanager", knobs), tmp_path)
    rule = ALERTS["ModelServiceDown"].render(knobs)
    labels = [f"{name}={value}" for name, value in {**rule["labels"], "alertname": rule["alert"], "ml_model_name": "churn"}.items()]
    amtool("config", "routes", "test", f"--config.file={tmp_path / CONFIG}", f"--verify.receivers={receiver}", *labels)


def amtool(*arguments):
    program = shutil.which("amtool")
    assert program, "amtool is not on the PATH; install Alertmanager (Debian package: prometheus-alertmanager)"
    result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_example_is_a_valid_configuration(tmp_path):
    write(render("alertmanager", Knobs()), tmp_path)
    assert "9 inhibit rules" in amtool("check-config", tmp_path / CONFIG)


def test_the_linter_of_alertmanager_configurations_finds_nothing_to_warn_of(tmp_path):
    write(render("alertmanager", Knobs()), tmp_path)
    done = subprocess.run(
        [Path(sys.executable).with_name("amlint"), "check", tmp_path / CONFIG], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout
    assert "ERROR" not in done.stdout


def test_labels_wait_for_business_hours_and_nothing_else_does(tmp_path):
    config = yaml.safe_load(render("alertmanager", Knobs(business_zone="Europe/Berlin"))[CONFIG])
    waiting = [route for route in config["route"]["routes"] if "active_time_intervals" in route]
    assert [route["matchers"] for route in waiting] == [['category="labels"']]
    (hours,) = config["time_intervals"]
    assert waiting[0]["active_time_intervals"] == [hours["name"]]
    assert hours["time_intervals"] == [
        {"weekdays": ["monday:friday"], "times": [{"start_time": "08:00", "end_time": "18:00"}], "location": "Europe/Berlin"}
    ]


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_reaches_its_receiver(name, tmp_path):
    write(render("alertmanager", Knobs()), tmp_path)
    rule = ALERTS[name]
    usual = {"critical": "pagerduty", "warning": "slack", "none": "watchdog"}[rule.severity]
    receiver = {"labels": "email", "rollout": f"webhook,{usual}"}.get(rule.category, usual)
    labels = [f"{key}={value}" for key, value in alert(name, "churn")["labels"].items()]
    amtool("config", "routes", "test", f"--config.file={tmp_path / CONFIG}", f"--verify.receivers={receiver}", *labels)
