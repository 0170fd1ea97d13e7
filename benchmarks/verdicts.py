"""How far the drift verdict can be trusted, as Markdown tables: `python benchmarks/verdicts.py`, or with `--quick`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bugs import BLIND_SPOT, BUGS, Bug, scaled
from label_free import label_free
from replays import METHODS, OURS, Named, Watch, consecutive, named, repeated
from speed_rows import COLUMNS, REFERENCE_ROWS, ROWS, reference_and_current
from threadpoolctl import threadpool_limits

from otel_ml import catalogue as names
from otel_ml_exporter.demo import flights
from otel_ml_exporter.thresholds import Limits

SEED = 2013
SIZES = (50, 200, 1_000, 10_000)
BASELINE_ROWS = 10_000
FEATURES = list(flights.FEATURES)
BASELINE_MONTHS = 3
WEEK_ROWS = 4_000
"""Shorter weeks, those at the ends of the year, are left out."""
DATASET_LIMIT = Limits().threshold(names.SIGNAL_DRIFTED_FEATURES) or 0.0


@dataclass(frozen=True)
class Effort:
    """Baselines of made-up data, windows of each size for each of them, months and windows of a month, bugs' windows, weeks."""

    baselines: int
    windows: tuple[int, ...]
    months: tuple[int, ...]
    month_windows: int
    bug_windows: int
    weeks: int
    speed_rounds: int


FULL = Effort(4, (100, 100, 40, 15), tuple(range(1, 13)), 10, 100, 52, 3)
QUICK = Effort(1, (20, 20, 10, 2), (5,), 10, 10, 2, 1)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A heading and a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return f"## {title}\n\n" + "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _alarms(found: Sequence[Named]) -> list[str]:
    return [percent(float(np.mean([bool(each[method]) for each in found]))) for method in METHODS]


def quiet(effort: Effort) -> str:
    """Windows in which nothing changed: 30 features, rows independent or repeated."""
    rows = []
    for times in (1, 5, 20):
        for size, windows in zip(SIZES, effort.windows, strict=True):
            found = list(_quiet_windows(times, size, effort.baselines, windows))
            rows.append([times, size, len(found), *_alarms(found)])
    title = "Nothing changed, 30 features: windows with any drift verdict"
    return table(title, ["times each row occurs", "rows", "windows", *METHODS], rows)


def _quiet_windows(times: int, size: int, baselines: int, windows: int) -> Iterator[Named]:
    for seed in range(baselines):
        random = np.random.default_rng([SEED, times, size, seed])
        reference, keys = repeated(random, BASELINE_ROWS, times)
        watch, informed = Watch(reference), Watch(reference, key=keys)
        for _ in range(windows):
            yield named(repeated(random, size, times)[0], watch, informed)


def served() -> pd.DataFrame:
    """All flights in the order of their scheduled departure, as the pipeline serves them."""
    return scaled(flights.load()).sort_values("time_hour", kind="stable")


def _watches(reference: pd.DataFrame) -> tuple[Watch, Watch]:
    """Without and with the time of each row."""
    return Watch(reference[FEATURES]), Watch(reference[FEATURES], time=pd.to_datetime(reference["time_hour"]).to_numpy())


def month(year: pd.DataFrame, effort: Effort) -> str:
    """A month and a quarter of flights in the order of time: every other day is the baseline, the days between are replayed."""
    rows: list[list[object]] = []
    for span, months in (("a month", 1), ("a quarter", BASELINE_MONTHS)):
        numbers = sorted({(month - 1) // months for month in effort.months})
        parts = [year[(year["month"] - 1) // months == number] for number in numbers]
        for size in SIZES:
            found = list(_windows_between(parts, size, effort.month_windows * months))
            own = [{method: [name for name in each[method] if name not in flights.WEATHER] for method in each} for each in found]
            rows += [[span, size, len(found), what, *_alarms(part)] for what, part in (("all 11", found), ("4 without weather", own))]
    title = "Every other day of flights in the order of time: windows with any drift verdict"
    return table(title, ["days of", "rows", "windows", "features", *METHODS], rows)


def _windows_between(parts: Sequence[pd.DataFrame], size: int, most: int) -> Iterator[Named]:
    for rows in parts:
        odd = rows["day"] % 2 == 1
        for reference, replayed in ((rows[odd], rows[~odd]), (rows[~odd], rows[odd])):
            watches = _watches(reference)
            for window in consecutive(replayed, size, most):
                yield named(window, *watches)


def power(year: pd.DataFrame, effort: Effort) -> str:
    """Independent windows of held-out flights with a bug: is its feature named, and first?"""
    parts = flights.split(year)
    watches = _watches(parts.validation)
    return "\n".join(_power_of(watches, parts.quiet, size, effort.bug_windows) for size in (200, 1_000))


def _power_of(watches: tuple[Watch, Watch], rows: pd.DataFrame, size: int, windows: int) -> str:
    lines: list[list[object]] = []
    seen = 0
    for bug in (*BUGS, BLIND_SPOT):
        found = list(_bug_windows(watches, rows, bug, size, windows))
        seen += bug is not BLIND_SPOT and _is_first(found[0][OURS], bug)
        shares = [percent(float(np.mean([_is_first(each[method], bug) for each in found]))) for method in METHODS]
        lines.append([bug.title, _feature_of(bug), "yes" if _is_first(found[0][OURS], bug) else "no", *shares])
    clean = list(_bug_windows(watches, rows, Bug("no bug", lambda unchanged, _: unchanged, ()), size, windows))
    lines.append(["no bug (any verdict)", "", "yes" if clean[0][OURS] else "no", *_alarms(clean)])
    title = f"Bugs in windows of {size:,} rows: the right feature is named, and first ({windows} windows each)"
    header = ["bug", "feature", "otel-ml, first window", *METHODS]
    return table(title, header, lines) + f"\nIn the first window: {seen} of {len(BUGS)}.\n"


def _feature_of(bug: Bug) -> str:
    return bug.features[0] if len(bug.features) == 1 else "any of the weather"


def _is_first(ranked: Sequence[str], bug: Bug) -> bool:
    return bool(ranked) and ranked[0] in bug.features


def _bug_windows(watches: tuple[Watch, Watch], rows: pd.DataFrame, bug: Bug, size: int, windows: int) -> Iterator[Named]:
    random = np.random.default_rng([SEED, size])
    for _ in range(windows):
        window = rows.iloc[random.integers(0, len(rows), size)]
        yield named(bug.change(window, random), *watches)


@dataclass(frozen=True)
class Week:
    """What each rule names in a week of flights, and in the same week with each of the nine bugs."""

    clean: Named
    broken: tuple[Named, ...]


def weeks(year: pd.DataFrame, effort: Effort) -> str:
    """Weeks of flights after three months of baseline, as they were and with each bug."""
    fixed, renewed = (list(_weeks(year, effort.weeks, renewed=renewed)) for renewed in (False, True))
    rows = [
        [kind, method, len(found), *_week_figures(method, found)]
        for kind, found in (("January to March", fixed), ("the three months before", renewed))
        for method in METHODS
    ]
    header = ["baseline", "rule", "weeks", "a ticket", "a ticket for many features", "a feature that was quiet the week before"]
    header += ["bugs named", "named, and quiet without the bug", "ranked first"]
    title = "Weeks of flights in the order of time: share of the weeks, and of the weeks with a bug"
    return table(title, header, rows) + "\n" + _week_features(fixed, renewed) + "\n" + _week_bugs(fixed, renewed)


def _weeks(year: pd.DataFrame, most: int, *, renewed: bool) -> Iterator[Week]:
    """Full weeks from April on; a baseline that is `renewed` is made anew on the first of each month."""
    random = np.random.default_rng(SEED)
    after = year[year["month"] > BASELINE_MONTHS]
    day = pd.to_datetime(after["time_hour"]).dt.day_of_year
    full = [week for _, week in after.groupby((day - day.iloc[0]) // 7) if len(week) > WEEK_ROWS]
    until = 0
    for week in full[:most]:
        month_ = int(week["month"].iloc[0]) if renewed else BASELINE_MONTHS + 1
        if month_ != until:
            until = month_
            reference = year[year["month"].between(until - BASELINE_MONTHS, until - 1)]
            watches = _watches(reference)
        yield Week(named(week, *watches), tuple(named(bug.change(week, random), *watches) for bug in BUGS))


def _week_figures(method: str, found: Sequence[Week]) -> list[str]:
    clean = [set(week.clean[method]) for week in found]
    right = [
        (set(bug.features) & set(after[method]), set(week.clean[method]))
        for week in found
        for bug, after in zip(BUGS, week.broken, strict=True)
    ]
    shares = (
        [bool(each) for each in clean],
        [len(each) / len(FEATURES) > DATASET_LIMIT for each in clean],
        [bool(each - last) for last, each in zip([set(), *clean], clean, strict=False)],
        [bool(hit) for hit, _ in right],
        [bool(hit - usual) for hit, usual in right],
        [_is_first(after[method], bug) for week in found for bug, after in zip(BUGS, week.broken, strict=True)],
    )
    return [percent(float(np.mean(share))) for share in shares]


def _week_features(fixed: Sequence[Week], renewed: Sequence[Week]) -> str:
    columns = [(kind, method, found) for kind, found in (("", fixed), (", renewed", renewed)) for method in METHODS[:2]]
    rows = [
        [name, *(percent(float(np.mean([name in week.clean[method] for week in found]))) for _, method, found in columns)]
        for name in FEATURES
    ]
    return table("The same weeks without a bug, by feature", ["feature", *(method + kind for kind, method, _ in columns)], rows)


def _week_bugs(fixed: Sequence[Week], renewed: Sequence[Week]) -> str:
    columns = [(kind, method, found) for kind, found in (("", fixed), (", renewed", renewed)) for method in METHODS[:2]]
    rows = []
    for number, bug in enumerate(BUGS):
        hits = [[bool(set(bug.features) & set(week.broken[number][method])) for week in found] for _, method, found in columns]
        rows.append([bug.title, *(percent(float(np.mean(each))) for each in hits)])
    return table("The same weeks with a bug: its feature is named", ["bug", *(method + kind for kind, method, _ in columns)], rows)


def speed(effort: Effort, evidently: str | None) -> str:
    """From raw rows to the verdict on each feature, against Evidently's drift preset."""
    reference, current = (pd.DataFrame(rows, columns=list(COLUMNS)) for rows in reference_and_current())
    watch = Watch(reference)
    ours = {
        "otel-ml: count and judge": _seconds(lambda: watch.scores(current), effort.speed_rounds),
        "the same, and make the baseline": _seconds(lambda: Watch(reference).scores(current), effort.speed_rounds),
    }
    peers = {} if evidently is None else {"Evidently, DataDriftPreset": _evidently_seconds(evidently)}
    fastest = next(iter(ours.values()))
    rows = [[what, f"{1e3 * seconds:,.0f} ms", f"{seconds / fastest:.1f}"] for what, seconds in (ours | peers).items()]
    title = f"From {ROWS:,} raw rows of {len(COLUMNS)} features to all verdicts; the reference has {REFERENCE_ROWS:,} rows"
    return table(title, ["what", "wall clock, best run", "ratio"], rows)


def _seconds(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _evidently_seconds(python: str) -> float:
    program = Path(__file__).with_name("evidently_preset.py")
    return float(subprocess.run([python, str(program)], check=True, capture_output=True, text=True).stdout.split()[-1])


def main(arguments: Sequence[str]) -> int:
    """Print the tables that are asked for, all unless named."""
    year = served()
    sections: Mapping[str, Callable[[Effort, str | None], str]] = {
        "quiet": lambda effort, _: quiet(effort),
        "month": lambda effort, _: month(year, effort),
        "power": lambda effort, _: power(year, effort),
        "weeks": lambda effort, _: weeks(year, effort),
        "label-free": lambda *_: label_free(year),
        "speed": speed,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer windows, in less than half a minute")
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections), help="the sections to run")
    parser.add_argument("--evidently", metavar="PYTHON", help="a Python in which evidently is installed, for the ratio of speeds")
    options = parser.parse_args(arguments)
    for name in options.only:
        start = time.monotonic()
        with threadpool_limits(1):  # on a busy machine threads that wait for each other cost more than they save
            print(sections[name](QUICK if options.quick else FULL, options.evidently), flush=True)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
