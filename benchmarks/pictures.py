"""Pictures of the dashboards as SVG: a replayed incident, asked from Prometheus and drawn with the components of @grafana/ui.

Three models of flights are served as in `pack.py`; one gets its temperature in Celsius, another its hour in UTC. Bar charts and heat maps
are no part of @grafana/ui, and are sketched. Needs Node.js with npm, and Chromium.
"""

from __future__ import annotations

import html
import json
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pack
from bugs import Change, celsius, other_time_zone, scaled

from otel_ml import Baseline
from otel_ml import catalogue as names
from otel_ml_exporter.cli.backtest.history import Span
from otel_ml_exporter.cli.backtest.promql_text import inline
from otel_ml_exporter.cli.backtest.ruleset import of_files
from otel_ml_exporter.cli.backtest.scratch import filled
from otel_ml_exporter.demo import flights
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.programs import find
from otel_ml_exporter.prometheus import Prometheus

DOCS = pack.ROOT / "docs"
PAGE = Path(__file__).with_name("grafana")
BUILT = pack.ROOT / ".venv" / "grafana"
"""Where the page is put together; 600 MB of libraries stay there."""
INCIDENTS: Mapping[str, Change | None] = {"delay-ewr": None, "delay-jfk": celsius, "delay-lga": other_time_zone}
VERSION = "7"
STEP, DRAWN = 60.0, 120.0
"""Seconds between scrapes, and between points of a picture."""
NOW = pack.BROKEN_AT + 2 * pack.HOUR
SHOWN = Span(NOW - 6 * pack.HOUR, NOW)
EVALUATED = Span(SHOWN.start - pack.HOUR, NOW, STEP)
WIDTH = 1600
PICTURES: Mapping[str, tuple[int, Mapping[str, str]]] = {
    "overview": (99, {"model": ".*", "version": ".*"}),
    "drift": (31, {"model": "delay-jfk", "version": VERSION, "feature": "temp", "window": "1h"}),
}
"""The dashboards that are drawn: how many rows of their grid, and what is chosen."""
_GRAFANA: Mapping[str, str] = {"__rate_interval": "5m", "__range": "6h"}


class Everything(frozenset[str]):
    """The names of all metrics of ours."""

    def __contains__(self, name: object) -> bool:
        return name == "up" or str(name).startswith("ml_")


def history(file: Path) -> None:
    """Write what Prometheus would have scraped, as OpenMetrics."""
    parts = flights.split(scaled(flights.load()))
    model = flights.Model(parts.train)
    with file.open("w", encoding="utf-8") as out:
        for name, change in INCIDENTS.items():
            print(f"serving {name}", file=sys.stderr, flush=True)
            origin = name.removeprefix("delay-").upper()
            known, quiet = (rows[rows["origin"] == origin] for rows in (parts.validation, parts.quiet))
            baseline = Baseline.from_data(
                known[list(flights.FEATURES)],
                model=name,
                version=VERSION,
                predictions=model.predict_proba(known),
                labels=known[flights.LATE].to_numpy(),
                task="binary",
            )
            pool = pack.Pool(quiet, model)
            broken = pack.Pool(change(quiet, np.random.default_rng(pack.SEED)), model) if change else pool
            with tempfile.TemporaryDirectory() as directory:
                served = pack.Served(baseline, Path(directory), Everything(), STEP, STEP)
                out.writelines(_scraped(name, served, pool, broken))
                served.close()
        out.write("# EOF\n")


def _scraped(name: str, served: pack.Served, pool: pack.Pool, broken: pack.Pool) -> Iterator[str]:
    """The lines of one server, and of the one exporter what is about its model."""
    for at in np.arange(pack.BEGIN, EVALUATED.start, 10 * STEP).tolist():
        served.serve(pool, at, steps=10)
        served.counted(at)
    for at in np.arange(EVALUATED.start, NOW + STEP, STEP).tolist():
        served.serve(broken if at > pack.BROKEN_AT else pool, at)
        for line in served.scraped(at):
            if 'job="model"' in line:
                yield line.replace('instance="a"', f'instance="{name}:8000"')
            elif f'{MODEL}="{name}"' in line:
                yield _dated(line.replace("{", '{job="otel-ml-exporter",', 1))


def _dated(line: str) -> str:
    """The line; a baseline, which is made when this runs, as if it had been made a month before."""
    if not line.startswith(names.BASELINE_CREATED.prometheus):
        return line
    series, _, at = line.rsplit(" ", 2)
    return f"{series} {NOW - 30 * pack.DAY:.0f} {at}"


def firing(file: Path) -> Iterator[str]:
    """The alerts that the rules raise over the history, as Prometheus would have recorded them."""
    rules = pack.committed()
    with file.open(encoding="utf-8") as lines:
        moments = pack.held(rules, [(line for line in lines if line != "# EOF\n")], EVALUATED)
    for alert in pack.fired(rules, moments, STEP, NOW):
        labels = ",".join(f'{name}="{value}"' for name, value in alert.labels.items())
        for at in chain.from_iterable(np.arange(part.start, min(part.end, NOW) + STEP, STEP).tolist() for part in alert.intervals):
            yield f'ALERTS{{alertstate="firing",{labels}}} 1 {at:.0f}\n'


def answers(server: Prometheus, panels: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """What Prometheus says to each query, by the panel's number and the query's letter: labels, and points in time."""
    recordings = of_files(pack.RULES).recordings
    found = {}
    for panel in panels:
        for target in panel.get("targets", []):
            expr = re.sub(r"\$\{?(\w+)\}?", lambda name: variables.get(name[1], name[0]), target["expr"])
            asked = inline(expr, recordings, step=f"{STEP:.0f}s")
            if target.get("instant"):
                answer = [{"labels": labels, "points": [(NOW, value)]} for labels, value in server.vector(asked, NOW)]
            else:
                answer = [{"labels": labels, "points": points} for labels, points in server.lines(asked, SHOWN.start, NOW, DRAWN)]
            found[f"{panel['id']}{target['refId']}"] = answer
    return found


def draw(data: Mapping[str, Any]) -> str:
    """The SVG that the page makes of the data, in Chromium."""
    (BUILT / "data.js").write_text(f"window.DATA = {json.dumps(data)}")
    browser = _program("chromium", "chromium-browser", "google-chrome")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", f"--window-size={WIDTH},1000"]
    done = subprocess.run(
        [browser, *options, "--virtual-time-budget=10000", "--dump-dom", (BUILT / "page.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r'<pre id="svg"[^>]*>(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, "the page made no picture"
    return html.unescape(found[1])


def _program(*candidates: str) -> str:
    path = find(candidates)
    if path is None:
        sys.exit(f"{candidates[0]} is not on the PATH; on Debian: apt-get install {candidates[0]}")
    return path


def build() -> None:
    """Put the page together, with the libraries that it needs."""
    BUILT.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "page.jsx", "svg.js", "page.html"):
        (BUILT / name).write_text((PAGE / name).read_text())
    npm = [_program("npm"), "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--legacy-peer-deps", "--silent"]
    subprocess.run(npm, cwd=BUILT, check=True)
    esbuild: list[str | Path] = [
        BUILT / "node_modules" / ".bin" / "esbuild",
        "page.jsx",
        "--bundle",
        "--format=esm",
        "--outfile=bundle.js",
        "--log-level=error",
    ]
    defined = ['--define:process.env.NODE_ENV="production"', "--define:global=window", "--loader:.svg=dataurl"]
    subprocess.run([*esbuild, *defined], cwd=BUILT, check=True)


def main() -> int:
    """Write docs/overview.svg and docs/drift.svg."""
    logging.disable(logging.WARNING)
    pack.LABELLED, pack.DELAY = 0.2, 1200.0
    build()
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        scraped, full = directory / "scraped.om", directory / "full.om"
        history(scraped)
        with scraped.open(encoding="utf-8") as lines, full.open("w", encoding="utf-8") as out:
            out.writelines(chain((line for line in lines if line != "# EOF\n"), firing(scraped), ["# EOF\n"]))
        with filled(full) as server:
            for name, (height, chosen) in PICTURES.items():
                dashboard = json.loads((pack.ROOT / "grafana_dashboards" / f"otel-ml-{name}.json").read_text())
                panels = [panel for panel in dashboard["panels"] if panel["gridPos"]["y"] < height]
                variables = {**_GRAFANA, **chosen}
                shown = {"panels": panels, "variables": variables, "results": answers(server, panels, variables)}
                drawn = draw(shown | {"from": SHOWN.start, "to": NOW, "step": DRAWN, "width": WIDTH})
                (DOCS / f"{name}.svg").write_text(drawn)
                print(f"docs/{name}.svg: {len(drawn) / 1000:.0f} KB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
