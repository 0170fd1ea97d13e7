"""`otel-ml doctor` with a real Prometheus and Alertmanager: each link is broken once, and it is the one that is named."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml

from otel_ml import Baseline
from otel_ml_exporter.alertmanager import Alertmanager, Matcher
from otel_ml_exporter.cli import main
from otel_ml_exporter.cli.doctor.silent import BASELINE, OF_EXPORTER, OF_SERVICE
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render, write
from otel_ml_exporter.mixin.rules import groups
from support import eventually, free_port, running_alertmanager, running_prometheus

pytestmark = pytest.mark.e2e

HEALTHY = "churn"
DAY = 86_400


def of_model(
    name, *, served="b1", known="b1", rows=True, suffix="_total", dropped=False, score=True, samples=5000.0, labelled=60.0, delay=None
):
    """The exposition of a model and of what the exporter says about it; counters grow with time."""
    model = f'ml_model_name="{name}",ml_model_version="3"'
    count = time.time() % 100_000
    yield f'ml_model_info{{{model},ml_baseline_id="{served}"}} 1'
    yield f"ml_inference_rows{suffix}{{{model}}} {count if rows else 7}"
    yield f'ml_monitor_dropped_total{{{model},ml_drop_reason="error"}} {count if dropped else 0}'
    yield f'ml_baseline_info{{{model},ml_baseline_id="{known}"}} 1'
    if score:
        yield f'ml_feature_psi{{{model},ml_feature_name="age",window="1h",reference="baseline"}} 0.01'
    if samples is not None:
        yield f'ml_window_samples{{{model},ml_signal="feature",window="1h"}} {samples}'
    if labelled is not None:
        yield f"ml_outcome_last_timestamp_seconds{{{model}}} {time.time() - labelled}"
    if delay is not None:
        yield f'ml_threshold{{{model},ml_signal="label_delay",severity="warning"}} {delay}'


MODELS = {
    HEALTHY: {},
    "bare": {"served": ""},
    "mixed": {"served": "b9"},
    "idle": {"rows": False},
    "unsuffixed": {"suffix": ""},
    "lossy": {"dropped": True},
    "quiet": {"score": False, "samples": 12.0},
    "blind": {"score": False, "samples": None},
    "unlabelled": {"labelled": 5.0 * DAY},
    "overdue": {"labelled": DAY / 8, "delay": DAY / 24},
    "weekly": {"labelled": 5.0 * DAY, "delay": 7.0 * DAY},
    "muted": {},
}


def of_exporter(*, age=1.0, source=1, missing=0):
    yield f"ml_exporter_last_evaluation_timestamp_seconds {time.time() - age}"
    yield f'ml_exporter_source_up{{source="otlp"}} {source}'
    yield f'ml_exporter_baseline_missing{{file="churn-4.json"}} {missing}'


def of_shard(**faults):
    """A second exporter, with a model of its own."""
    model = 'ml_model_name="far",ml_model_version="1"'
    yield from of_exporter(**faults)
    yield f'ml_baseline_info{{{model},ml_baseline_id="b2"}} 1'
    yield f'ml_feature_psi{{{model},ml_feature_name="age",window="1h",reference="baseline"}} 0.01'


class Exposition:
    """A server whose metrics a test can break, or take away."""

    def __init__(self, lines):
        self.lines = lines
        exposition = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                ready = self.path != "/readyz" and exposition.lines is not None
                body = "".join(f"{line}\n" for line in exposition.lines()).encode() if ready else b"no evaluation yet"
                self.send_response(200 if ready else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Stack:
    """The servers, and the ways to break each."""

    def __init__(self, directory, prometheus, alertmanager, *servers):
        self.directory, self.prometheus, self.alertmanager = directory, prometheus, alertmanager
        self.service, self.gone, self.shard = servers
        self.exporter = {}
        self.extra = []

    def lines(self):
        for name, faults in MODELS.items():
            yield from of_model(name, **faults)
        yield from of_exporter(**self.exporter)
        yield from self.extra

    @contextmanager
    def settings(self, **changes):
        """Prometheus with other settings, for a while."""
        file = self.directory / "prometheus.yml"
        before = file.read_text()
        file.write_text(yaml.safe_dump({**yaml.safe_load(before), **changes}))
        assert self.prometheus.post("/-/reload").status_code == 200
        try:
            yield
        finally:
            file.write_text(before)
            assert self.prometheus.post("/-/reload").status_code == 200
            known = "/api/v1/alertmanagers"
            eventually(lambda: self.prometheus.get(known).json()["data"]["activeAlertmanagers"], lambda: "no Alertmanager again")

    @contextmanager
    def routes(self, **changes):
        """Alertmanager with another routing tree, for a while."""
        file = self.directory / "alertmanager.yml"
        before = file.read_text()
        file.write_text(yaml.safe_dump({**yaml.safe_load(before), **changes}))
        assert httpx.post(f"{self.alertmanager}/-/reload").status_code == 200
        try:
            yield
        finally:
            file.write_text(before)
            assert httpx.post(f"{self.alertmanager}/-/reload").status_code == 200

    def visit(self, capsys, *options, model=HEALTHY):
        """Every link by its name; the exit code says whether one is broken."""
        return {link["name"]: link for link in self.told(capsys, *options, model=model)["links"]}

    def told(self, capsys, *options, model=HEALTHY):
        """The whole visit as JSON."""
        servers = [f"--prometheus={self.prometheus.base_url}", f"--alertmanager={self.alertmanager}"]
        code = main(["doctor", f"--model={model}", "--json", *servers, *options])
        told = json.loads(capsys.readouterr().out)
        assert code == (0 if told["healthy"] else 1)
        return told


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("doctor")
    write(render("rules", Knobs(interval="1s", rate_window="4s", score_interval="1s", scrape_interval="1s", pace=0.001)), directory)
    servers = service, gone, shard = Exposition(list), Exposition(lambda: of_model("gone")), Exposition(of_shard)
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [server.address for server in several]}]}
        for job, several in (("models", (service, shard)), ("old", (gone,)))
    ]
    route = {"receiver": "chat", "group_wait": "1s", "routes": [{"matchers": ['severity="critical"'], "receiver": "pager"}]}
    receivers = [{"name": name, "webhook_configs": [{"url": "http://127.0.0.1:9/x"}]} for name in ("chat", "pager")]
    with running_alertmanager(directory, {"route": route, "receivers": receivers}) as alertmanager:
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(directory / "alert_rules" / "*.yaml")],
            "scrape_configs": jobs,
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager[7:]]}]}]},
        }
        with running_prometheus(directory, settings, "--web.enable-lifecycle", "--rules.alert.resend-delay=1s") as client:
            stack = Stack(directory, client, alertmanager, *servers)
            service.lines = stack.lines
            with Alertmanager("Alertmanager", alertmanager) as server:
                eventually(lambda: server.alerts([Matcher("alertname", "Watchdog")]), lambda: "no Watchdog")
                server.silence(
                    [Matcher("ml_model_name", "mut.*", regex=True)],
                    starts=time.time(),
                    ends=time.time() + 999,
                    author="ada",
                    comment="retraining",
                )
            grown = (
                'count(increase(ml_inference_rows_total{ml_model_name="churn"}[15m]) > 0) and count(ml_model_info{ml_model_name="gone"})'
            )
            eventually(lambda: client.get("/api/v1/query", params={"query": grown}).json()["data"]["result"], lambda: "no counts")
            yield stack
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def whole(stack):
    """What a test breaks in the expositions is whole again after it."""
    yield
    stack.extra, stack.exporter = [], {}


def states(links, state):
    return [name for name, link in links.items() if link["state"] == state]


def wrong(links):
    return states(links, "BROKEN") + states(links, "look")


def visited(stack, capsys, expected, *options, model=HEALTHY):
    """The links, once just those that are expected are broken or worth a look: a scrape may be late. A target of another test is down."""
    links = {}

    def now():
        links.update(stack.visit(capsys, *options, model=model))
        return [name for name in wrong(links) if name != "scrape"] == expected

    eventually(now, lambda: links)
    return links


def test_a_whole_path_is_healthy_from_end_to_end(stack, capsys):
    baseline = Baseline.from_data({"age": [1.0, 2.0]}, model=HEALTHY, version="3")
    links = visited(stack, capsys, [], f"--target=http://{stack.service.address}/metrics")
    assert not wrong(links)
    assert states(links, "-") == ["exporter endpoint"]
    assert links["route, critical"]["found"] == "pager (webhook) after 1s"
    assert links["metrics arrive"]["found"] == "series of version 3 (1)"
    assert baseline.fingerprint != "b1"


def test_the_walk_is_printed_for_people(stack, capsys):
    servers = [f"--prometheus={stack.prometheus.base_url}", f"--alertmanager={stack.alertmanager}"]
    visited(stack, capsys, [])
    assert main(["doctor", "--model=churn", *servers]) == 0
    told = capsys.readouterr().out
    assert "ok      Watchdog" in told
    assert "otel-ml alerts test --model churn" in told
    assert main(["doctor", "--model=bare", *servers]) == 1
    told = capsys.readouterr().out
    assert "BROKEN  fingerprint" in told
    assert "-> give otel_ml.monitor the file that Baseline.save wrote" in told
    assert "broken: fingerprint; start with the first" in told


def test_one_environment_of_a_model_is_looked_at_by_itself(stack, capsys):
    twins = [("prod", 3), ("staging", 4)]
    stack.extra = [f'ml_model_info{{ml_model_name="twin",ml_model_version="{version}",namespace="{place}"}} 1' for place, version in twins]

    def arrived(*options):
        return stack.visit(capsys, *options, model="twin")["metrics arrive"]["found"]

    eventually(lambda: arrived() == "series of version 3 (1), version 4 (1)", arrived)
    assert arrived("--selector", "namespace=prod") == "series of version 3 (1)"
    assert arrived("--selector", 'namespace!~"prod|dev"') == "series of version 4 (1)"
    assert stack.visit(capsys, "--selector", "namespace=prod", model="twin")["Watchdog"]["state"] == "ok"
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--model=twin", "--selector", "namespace"])
    assert caught.value.code == 2
    assert "is no matcher" in capsys.readouterr().err


def test_a_model_under_a_prefix_of_the_collector_is_found(stack, capsys):
    stack.extra = ['shop_ml_model_info{ml_model_name="shop",ml_model_version="1"} 1']
    eventually(lambda: stack.visit(capsys, model="shop")["metrics arrive"]["found"].startswith("the model is there"), lambda: "no series")
    link = stack.visit(capsys, model="shop")["metrics arrive"]
    assert link["found"] == "the model is there as shop_ml_model_info, with a prefix"
    assert link["mend"].startswith("remove `namespace: shop` of the Collector's exporter")


@pytest.mark.parametrize(
    ("model", "state", "link", "found"),
    [
        ("nobody", "BROKEN", "metrics arrive", "not model nobody"),
        ("bare", "BROKEN", "fingerprint", "version 3 is served without a baseline"),
        ("mixed", "BROKEN", "fingerprint", "counts with baseline b9, the exporter has b1"),
        ("idle", "look", "calls", "no rows in 15m"),
        ("unsuffixed", "BROKEN", "calls", "rows are counted as ml_inference_rows, without _total"),
        ("lossy", "look", "nothing lost", "ml_monitor_dropped_total error"),
        ("quiet", "look", "scores", "at most 12 samples"),
        ("blind", "BROKEN", "scores", "none, and no samples"),
        ("unlabelled", "look", "labels", "5d ago, expected every 1d"),
        ("overdue", "look", "labels", "3h ago, expected every 2h"),
        ("muted", "look", "silences", "by ada until"),
    ],
)
def test_what_is_wrong_with_a_model_is_named_and_nothing_else(stack, capsys, model, state, link, found):  # noqa: PLR0917
    links = visited(stack, capsys, [link], model=model)
    assert found in links[link]["found"]
    assert links[link]["mend"]
    assert links[link]["state"] == state


def test_labels_that_come_as_seldom_as_their_owner_said_are_fine(stack, capsys):
    assert stack.visit(capsys, model="weekly")["labels"]["state"] == "ok"


def silent(told):
    return {alert for silence in told["silent"] for alert in silence["alerts"]}


def test_alerts_that_cannot_fire_are_told_with_what_wakes_them(stack, capsys):
    told = stack.told(capsys)
    found = {silence["why"]: silence["wake"] for silence in told["silent"]}
    assert (
        "`thresholds: {latency: 0.5s}`"
        in found["no latency objective is set, or it is not a bucket bound of ml_inference_duration_seconds"]
    )
    assert "`thresholds: {performance: 0.9}`" in found["no limit says what is good enough"]
    assert "golden=24" in found["no golden records were verified"]
    assert "no outcome has arrived" not in found
    assert told["healthy"]
    assert main(["doctor", "--model=churn", f"--prometheus={stack.prometheus.base_url}", f"--alertmanager={stack.alertmanager}"]) == 0
    assert "silent  ModelLatencyBudgetBurn: no latency objective is set" in capsys.readouterr().out


def test_what_is_stated_and_served_is_silent_no_more(stack, capsys):
    before = silent(stack.told(capsys))
    model = 'ml_model_name="churn",ml_model_version="3"'
    stack.extra = [
        f'ml_threshold{{{model},ml_signal="latency",severity="critical"}} 1',
        f'ml_threshold{{{model},ml_signal="performance",severity="critical"}} 0.9',
        f'ml_inference_duration_seconds_bucket{{{model},le="1.0"}} 5',
        f'ml_verification_records{{{model},ml_verification_result="match"}} 24',
        f'ml_segment_performance{{{model},ml_segment="eu",ml_metric="accuracy",window="24h"}} 0.9',
    ]
    woken = {"ModelLatencyBudgetBurn", "ModelAccuracyBelowFloor", "ModelVerificationFailed", "ModelSegmentDegraded"}
    eventually(lambda: before - silent(stack.told(capsys)) == woken, lambda: stack.told(capsys)["silent"])
    stack.extra = [f'ml_threshold{{{model},ml_signal="latency",severity="critical"}} 0.7']
    eventually(lambda: "ModelLatencyBudgetBurn" in silent(stack.told(capsys)), lambda: "an objective that is no bound of a bucket")


def test_a_model_that_prometheus_does_not_know_has_no_silent_alerts(stack, capsys):
    assert stack.told(capsys, model="nobody")["silent"] == []


def test_each_alert_is_known_to_be_heard_or_has_something_that_wakes_it():
    """Whoever adds an alert says here whether a model can have it silent."""
    of_kind_of_model = {"ModelOutputShift", "ModelUnknownCategories", "ModelOutliersRising", "ModelAbstentionHigh", "ModelCollectorDown"}
    heard = {
        "Watchdog",
        "ModelServiceDown",
        "ModelMetricsAbsent",
        "ModelReplicasDown",
        "ModelErrorBudgetBurn",
        "ModelVersionSkew",
        "ModelInputDataBroken",
        "ModelStuckInput",
        "ModelBaselineMissing",
        "ModelBaselineStale",
        "ModelMonitorUnhealthy",
        "ModelSeriesOverflow",
    }
    woken = {alert for silence in (BASELINE, *OF_SERVICE, *OF_EXPORTER) for alert in silence.alerts if alert.startswith("Model")}
    assert not woken & (heard | of_kind_of_model)
    assert woken | heard | of_kind_of_model == {alert.name for group in groups(Knobs()) for alert in group.alerts}


def broken_alone(stack, capsys, link, found, *options, also=(), model=HEALTHY):
    """Wait until the link is broken, then it is broken alone."""

    def now():
        return stack.visit(capsys, *options, model=model)

    eventually(lambda: set(states(now(), "BROKEN")) == {link, *also}, now)
    assert found in now()[link]["found"]
    assert now()[link]["mend"]


@pytest.mark.parametrize(
    ("faults", "link", "found"),
    [({"age": 700.0}, "exporter evaluates", "ended 11m"), ({"source": 0}, "exporter reads", "the source otlp does not answer")],
)
def test_an_exporter_that_does_not_work_is_named(stack, capsys, faults, link, found):
    stack.exporter = faults
    broken_alone(stack, capsys, link, found)
    stack.exporter = {}
    eventually(lambda: not states(stack.visit(capsys), "BROKEN"), lambda: "not well again")


def test_one_exporter_of_several_that_does_not_work_is_named(stack, capsys):
    """It is a broken link for the model that it alone evaluates."""
    service, shard = (f"models {server.address}" for server in (stack.service, stack.shard))
    healthy = stack.shard.lines
    stack.extra = ['ml_model_info{ml_model_name="far",ml_model_version="1",ml_baseline_id="b2"} 1']

    def broken_for_far(link, found, lines):
        """What is said of the model that the other exporter evaluates."""
        stack.shard.lines = lines
        broken_alone(stack, capsys, link, found, model="far")
        told = stack.visit(capsys)[link]
        assert told["state"] == "look"
        assert told["found"].endswith(f"; the model is evaluated by {service}")

    eventually(lambda: "fingerprint" not in states(stack.visit(capsys, model="far"), "BROKEN"), lambda: stack.visit(capsys, model="far"))
    assert "of the slowest of 2 exporters" in stack.visit(capsys)["exporter evaluates"]["found"]
    broken_for_far("exporter evaluates", f"{shard} has stopped evaluating; its last evaluation ended 11m", lambda: of_shard(age=700.0))
    broken_for_far("exporter reads", f"the source otlp does not answer the exporter {shard}", lambda: of_shard(source=0))
    broken_for_far("exporter evaluates", f"{shard} does not answer its scrape; its last evaluation ended", None)
    stack.shard.lines, stack.extra = healthy, []
    eventually(lambda: not states(stack.visit(capsys), "look"), lambda: stack.visit(capsys))


def test_a_baseline_file_that_the_exporter_cannot_use_is_worth_a_look(stack, capsys):
    stack.exporter = {"missing": 1}
    eventually(lambda: states(stack.visit(capsys), "look") == ["exporter reads"], lambda: stack.visit(capsys))
    assert "churn-4.json" in stack.visit(capsys)["exporter reads"]["found"]


def test_series_that_the_sdk_merged_are_named(stack, capsys):
    stack.extra = ['ml_feature_observations_total{otel_metric_overflow="true"} 5']
    broken_alone(stack, capsys, "series budget", "merged series of ml_feature_observations_total")
    stack.extra = []
    eventually(lambda: not states(stack.visit(capsys), "BROKEN"), lambda: "not well again")


def test_a_target_that_went_down_is_named_with_its_error(stack, capsys):
    stack.gone.close()
    broken_alone(stack, capsys, "scrape", f"old {stack.gone.address} is down: ", model="gone", also=["metrics arrive"])
    assert "the last series of model gone arrived" in stack.visit(capsys, model="gone")["metrics arrive"]["found"]
    assert not states(stack.visit(capsys), "BROKEN")


def test_rules_that_are_not_loaded_are_named(stack, capsys):
    with stack.settings(rule_files=[]):
        broken_alone(stack, capsys, "rules loaded", "alerts is loaded", also=["Watchdog"])


def test_a_part_of_the_rules_is_worth_a_look(stack, capsys):
    with stack.settings(rule_files=[str(stack.directory / "alert_rules" / "monitor.yaml")]):
        eventually(lambda: stack.visit(capsys)["rules loaded"]["state"] == "look", lambda: stack.visit(capsys))
        assert "alerts are not loaded: Model" in stack.visit(capsys)["rules loaded"]["found"]


def test_a_rule_that_fails_is_named(stack, capsys):
    group = {
        "name": "otel-ml-twice",
        "interval": "1s",
        "rules": [{"record": "x:y:z", "expr": 'label_replace(up, "instance", "", "", "")', "labels": {"job": ""}}],
    }
    (stack.directory / "twice.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    with stack.settings(rule_files=[str(stack.directory / "alert_rules" / "*.yaml"), str(stack.directory / "twice.yaml")]):
        broken_alone(stack, capsys, "rules healthy", "x:y:z fails: ")


def test_a_prometheus_that_knows_no_alertmanager_is_named(stack, capsys):
    with stack.settings(alerting={}):
        broken_alone(stack, capsys, "alerting", "knows no Alertmanager")


def test_alerts_that_go_to_another_alertmanager_do_not_arrive_and_one_that_has_just_started_is_waited_for(
    stack, capsys, tmp_path, monkeypatch
):
    route = {"route": {"receiver": "chat"}, "receivers": [{"name": "chat"}]}
    with running_alertmanager(tmp_path, route) as other:
        links = visited(stack, capsys, ["route, critical", "route, warning", "alerting"], f"--alertmanager={other}")
        assert links["Watchdog"]["state"] == "-"
        assert links["Watchdog"]["found"].startswith("waiting: Alertmanager started ")
        assert links["Watchdog"]["mend"] == "ask again in two minutes"
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 200)
        links = stack.visit(capsys, f"--alertmanager={other}")
    assert states(links, "BROKEN") == ["Watchdog", "route, critical", "route, warning"]
    assert "is not in Alertmanager" in links["Watchdog"]["found"]


def test_rules_that_were_never_evaluated_are_waited_for(stack, capsys):
    """Prometheus evaluates a group for the first time somewhere within its interval."""
    rule = {"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none", "ml_model_name": "all"}}
    (stack.directory / "late.yaml").write_text(yaml.safe_dump({"groups": [{"name": "late", "interval": "1d", "rules": [rule]}]}))
    with stack.settings(rule_files=[str(stack.directory / "late.yaml")]):
        waiting = "waiting: Prometheus has loaded it just now and not evaluated it yet"
        eventually(lambda: stack.visit(capsys)["Watchdog"]["found"] == waiting, lambda: stack.visit(capsys)["Watchdog"])
        assert stack.visit(capsys)["Watchdog"]["state"] == "-"


def test_a_route_to_nobody_is_named(stack, capsys):
    receivers = [{"name": "chat", "webhook_configs": [{"url": "http://127.0.0.1:9/x"}]}, {"name": "pager"}]
    with stack.routes(receivers=receivers):
        broken_alone(stack, capsys, "route, critical", "receiver pager, which notifies nobody")


@pytest.fixture
def site(stack, tmp_path, capsys):
    """Rules and a Prometheus that add labels, and routes that need them: team=risk, cluster=eu."""
    knobs = Knobs(labels={"team": "risk"}, interval="1s", rate_window="4s", score_interval="1s", scrape_interval="1s", pace=0.001)
    write(render("rules", knobs), tmp_path)
    route = {
        "receiver": "nobody",
        "group_wait": "1s",
        "routes": [{"matchers": ['team="risk"', 'cluster="eu"', 'severity="critical"'], "receiver": "pager"}],
    }
    receivers = [{"name": "nobody"}, {"name": "pager", "webhook_configs": [{"url": "http://127.0.0.1:9/x"}]}]
    times = yaml.safe_load((stack.directory / "prometheus.yml").read_text())["global"]
    rules, labels = [str(tmp_path / "alert_rules" / "*.yaml")], {**times, "external_labels": {"cluster": "eu"}}
    with stack.settings(rule_files=rules, **{"global": labels}), stack.routes(route=route, receivers=receivers):
        eventually(lambda: "team=risk" in stack.visit(capsys)["route, critical"]["found"], lambda: "no such rules")
        yield stack


def test_labels_that_rules_and_prometheus_add_are_those_that_routes_are_asked_with(site, capsys):
    links = site.visit(capsys)
    assert links["route, critical"]["found"] == "pager (webhook) after 1s (alerts carry cluster=eu, team=risk)"
    assert links["route, warning"]["found"] == "goes to receiver nobody, which notifies nobody (alerts carry cluster=eu, team=risk)"
    with Alertmanager("Alertmanager", site.alertmanager) as server:
        server.silence(
            [Matcher("team", "risk"), Matcher("alertname", "ModelServiceDown")],
            starts=time.time(),
            ends=time.time() + 5,
            author="ada",
            comment="x",
        )
    assert "mutes ModelServiceDown" in site.visit(capsys)["silences"]["found"]


def test_a_drill_carries_the_labels_that_rules_and_prometheus_add(site, capsys):
    """Nobody listens behind the receiver; that the drill is sent there is enough."""
    servers = [f"--prometheus={site.prometheus.base_url}", f"--alertmanager={site.alertmanager}"]
    assert main(["alerts", "test", "--model=churn", "--wait=1s", *servers]) == 1
    said = capsys.readouterr()
    assert "labels     cluster=eu, team=risk" in said.out
    assert "route      pager (webhook) after 1s" in said.out
    servers[0] = f"--prometheus=http://127.0.0.1:{free_port()}"
    assert main(["alerts", "test", "--model=churn", "--wait=1s", *servers]) == 1
    assert "Prometheus does not say which labels rules add, so give --label" in capsys.readouterr().err


def test_one_page_that_goes_to_nobody_is_named(stack, capsys):
    routes = [
        {"matchers": ['alertname="ModelCanaryWorse"'], "receiver": "null"},
        {"matchers": ['severity="critical"'], "receiver": "pager"},
    ]
    receivers = [{"name": name, "webhook_configs": [{"url": "http://127.0.0.1:9/x"}]} for name in ("chat", "pager")]
    with stack.routes(route={"receiver": "chat", "routes": routes}, receivers=[*receivers, {"name": "null"}]):
        broken_alone(stack, capsys, "route, critical", "ModelCanaryWorse goes to receiver null, which notifies nobody")


def test_servers_that_are_not_there_are_named_once_and_what_hangs_on_them_is_not_blamed(stack, capsys):
    nowhere = f"http://127.0.0.1:{free_port()}"
    links = visited(stack, capsys, ["Prometheus"], f"--prometheus={nowhere}")
    assert links["metrics arrive"]["found"] == "depends on: Prometheus"
    visited(stack, capsys, ["Alertmanager", "alerting"], f"--alertmanager={nowhere}")
    visited(stack, capsys, ["service endpoint", "exporter endpoint"], f"--exporter={nowhere}", f"--target={nowhere}")


def test_servers_that_are_others_than_was_said_are_broken_links(stack, capsys):
    links = stack.visit(capsys, f"--prometheus={stack.alertmanager}", f"--alertmanager={stack.prometheus.base_url}")
    assert states(links, "BROKEN") == ["Prometheus", "Alertmanager"]
    assert "with the path under which it is served" in links["Prometheus"]["mend"]


def test_the_service_and_the_exporter_are_asked_themselves(stack, capsys):
    address = f"http://{stack.service.address}"
    links = stack.visit(capsys, f"--exporter={address}", f"--target={address}/metrics", model="nobody")
    assert "503: no evaluation yet" in links["exporter endpoint"]["found"]
    assert "not model nobody" in links["service endpoint"]["found"]


def test_another_baseline_than_the_file_is_named(stack, capsys, tmp_path):
    baseline = Baseline.from_data({"age": [1.0, 2.0]}, model=HEALTHY, version="3")
    baseline.save(tmp_path / "churn-3.json")
    links = visited(stack, capsys, ["fingerprint"], f"--baseline={tmp_path}/churn-3.json")
    assert f"counts with baseline b1, the file is {baseline.fingerprint}" in links["fingerprint"]["found"]
