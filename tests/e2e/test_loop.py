"""The whole loop on real servers: a model served by two prefork workers, Prometheus, exporter, rules, Alertmanager, and a
receiver that records what PagerDuty would get."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel_ml import catalogue as names
from otel_ml_exporter.demo import flights
from otel_ml_exporter.demo.receiver import SLACK
from otel_ml_exporter.demo.stack import ALERTMANAGER, PROMETHEUS, Stack, running, wait_until
from otel_ml_exporter.demo.story import SEASON_MONTH
from otel_ml_exporter.demo.traffic import Traffic, celsius
from otel_ml_exporter.programs import find

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = names.INFERENCE_ROWS.prometheus


@pytest.fixture(scope="module")
def table():
    return flights.load()


@pytest.fixture(scope="module")
def parts(table):
    return flights.split(table)


@pytest.fixture(scope="module")
def prepare(parts):
    baseline = flights.baseline(flights.Model(parts.train), parts.validation)
    return baseline.save


def scraped_rows(stack: Stack) -> float:
    """Every row that Prometheus saw counted: the sum of all increases of the raw samples, restarts included."""
    total = 0.0
    for series in stack.query(f"{ROWS}[10m]"):
        before = 0.0
        for _, text in series["values"]:
            value = float(text)
            total += value if value < before else value - before
            before = value
    return total


def exported(stack: Stack, metric: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(stack.exported()):
        for sample in family.samples:
            if sample.name == metric and labels.items() <= sample.labels.items():
                return sample.value
    return None


def restart_worker(stack: Stack, traffic: Traffic) -> None:
    """End one of the two workers; the server forks another."""
    worker = traffic.workers.copy().pop()
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the end of a worker")
    if stack.paging:
        wait_until(lambda: len(stack.query('up{job="flights"} == 1')) == len(stack.metrics_ports), "a scrape of the new worker")


def test_the_servers_are_installed():
    """A missing server fails the suite instead of hiding the tests that need it."""
    assert find(PROMETHEUS), "install it: apt-get install prometheus"
    assert find(ALERTMANAGER), "install it: apt-get install prometheus-alertmanager"


def test_drift_files_a_ticket_a_bug_pages_and_its_mend_resolves_the_page(tmp_path, table, parts, prepare):
    """Quiet traffic fires nothing; a season files a ticket; a Celsius bug pages with model, feature, number, limit and runbook; the
    mend resolves the same dedup key; a worker and the exporter are restarted in between and every row served is counted."""
    with running(tmp_path, paging=True, prepare=prepare) as stack:
        with Traffic(stack, parts.quiet) as traffic:
            wait_until(lambda: exported(stack, names.FEATURE_PSI.prometheus), "the first score")
            wait_until(lambda: len(traffic.workers) == 2, "traffic on both workers")
            time.sleep(15)
            assert stack.firing() == set()
            assert stack.pages() == []
        wait_until(lambda: scraped_rows(stack) == traffic.served, "a scrape of the last row")

        restart_worker(stack, traffic)
        stack.stop("exporter")
        stack.start_exporter()
        wait_until(lambda: not stack.firing(), "silence", seconds=60)
        served = traffic.served
        with Traffic(stack, table[table["month"] == SEASON_MONTH]) as traffic:
            wait_until(lambda: exported(stack, names.FEATURE_DRIFTED.prometheus, ml_feature_name="temp") == 1, "the verdict on temp")
            ticket = wait_until(
                lambda: next((told for told in map(json.dumps, stack.receiver.events(SLACK)) if "Drift" in told), ""), "the ticket"
            )
            assert stack.pages() == []
            traffic.switch(parts.quiet, celsius)
            page = wait_until(stack.pages, "the page")[0]
            traffic.switch(parts.quiet)
            wait_until(lambda: any(event["event_action"] == "resolve" for event in stack.pages()), "the end of the page", seconds=90)
            wait_until(lambda: not stack.firing(), "silence", seconds=60)
        wait_until(lambda: scraped_rows(stack) == served + traffic.served, "a scrape of the last row")
        events = stack.pages()

    assert page["event_action"] == "trigger"
    assert page["payload"]["severity"] == "critical"
    told = json.dumps(page)
    for needed in (flights.MODEL, "temp", "%", "limit 20%", "ModelInputDataBroken.md", names.VIOLATION_OUT_OF_RANGE):
        assert needed in told
    assert {event["dedup_key"] for event in events} == {page["dedup_key"]}
    assert [event["event_action"] for event in events][-1] == "resolve"
    assert flights.MODEL in ticket


def test_embedded_the_exporter_counts_every_row_over_restarts(tmp_path, parts, prepare, monkeypatch):
    """Without Prometheus the exporter receives OTLP: killed and restarted, with a worker restarted too, it misses no row."""
    monkeypatch.setattr("otel_ml_exporter.demo.stack.WINDOW", "10m")  # in which all rows of the test lie
    with running(tmp_path, paging=False, prepare=prepare) as stack:
        with Traffic(stack, parts.quiet) as traffic:
            wait_until(lambda: exported(stack, names.FEATURE_PSI.prometheus), "the first score")
            stack.stop("exporter", signal.SIGKILL)
            wait_until(lambda: traffic.failed, "a batch whose outcomes found no exporter")
            stack.start_exporter()
            wait_until(lambda: len(traffic.workers) == 2, "traffic on both workers")
            restart_worker(stack, traffic)
            served = traffic.served
            wait_until(lambda: traffic.served > served + 500, "traffic on the new worker")
        samples = names.WINDOW_SAMPLES.prometheus
        wait_until(lambda: exported(stack, samples, ml_signal="feature") == traffic.served, "the count of the last row")
        assert exported(stack, names.CALIBRATION_ECE.prometheus) < 0.1
        assert exported(stack, names.OUTCOME_COVERAGE_RATIO.prometheus) > 0.5


@pytest.fixture
def interruptible():
    """A child gets SIGINT even where ours is ignored, as it is in what a shell runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_behind(tmp_path, how):
    """Ctrl-C ends the demo and everything it started, also where it runs without Prometheus and says so."""
    empty = tmp_path / "bin"
    empty.mkdir()
    demo = subprocess.Popen(
        [sys.executable, "-m", "otel_ml_exporter.cli", "demo", "-d", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": str(empty)},
        text=True,
    )
    with demo:
        wait_until((tmp_path / "demo" / "model.log").exists, "the start of the model server", seconds=120)
        time.sleep(3)
        assert processes_naming(tmp_path)
        demo.send_signal(how)
        told, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "not on the PATH" in told
    assert "apt-get install prometheus" in told
    assert processes_naming(tmp_path) == []


def processes_naming(directory: Path) -> list[str]:
    """The command lines of processes that mention a directory, our own aside."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line and entry.parent.name != str(os.getpid()):
            found.append(line)
    return found
