"""The middle links: baseline, exporter, scores, labels and rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from otel_ml import Baseline
from otel_ml import catalogue as names
from otel_ml_exporter.cli.doctor.links import Case, Finding, broken, look, ok, unchecked
from otel_ml_exporter.cli.pack import alert_names, own, usual_names
from otel_ml_exporter.cli.words import ago, span
from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import BASELINE, SIGNAL, VERSION, WINDOW, equal
from otel_ml_exporter.prometheus import Labels
from otel_ml_exporter.remote import RemoteError

_DAY = 86_400.0
_STALE_RULES = 300.0


def fingerprint(case: Case) -> Finding:
    """Service, exporter and file have the same baseline."""
    served, known = _ids(case, names.MODEL_INFO.prometheus), _ids(case, names.BASELINE_INFO.prometheus)
    bare = sorted(version for version, ids in served.items() if "" in ids)
    if bare:
        return broken(f"version {', '.join(bare)} is served without a baseline", "give otel_ml.monitor the file that Baseline.save wrote")
    for version, ids in sorted(served.items()):
        if version in known and not ids <= known[version]:
            found = f"version {version} counts with baseline {_listed(ids)}, the exporter has {_listed(known[version])}"
            return broken(found, "give both the same file; compare with `otel-ml baseline show`")
    if case.baseline is not None:
        return _against_file(case.baseline, served)
    if not known:
        return unchecked(f"the service has baseline {_listed(set().union(*served.values()))}; give --baseline FILE to compare it")
    unknown = sorted(set(served) - set(known))
    if unknown:
        return look(f"the exporter has no baseline of version {', '.join(unknown)}", "add it to `models` of the exporter's configuration")
    return ok(f"service and exporter have baseline {_listed(set().union(*served.values()))}")


def _against_file(baseline: Baseline, served: Mapping[str, set[str]]) -> Finding:
    """Whether the version of a file counts with it, and only with it."""
    version, expected = baseline.version, baseline.fingerprint
    if version not in served:
        return broken(f"the file is of version {version}, and version {_listed(set(served))} serves", "give the file of a served version")
    if served[version] != {expected}:
        return broken(
            f"version {version} counts with baseline {_listed(served[version])}, the file is {expected}", "give the service this file"
        )
    return ok(f"service and file have baseline {expected}")


def _ids(case: Case, metric: str) -> dict[str, set[str]]:
    """The baselines of each version."""
    ids: dict[str, set[str]] = defaultdict(set)
    for sample in case.prometheus.vector(f"group by ({VERSION}, {BASELINE}) ({metric}{{{case.matcher}}})"):
        ids[sample.labels.get(VERSION, "")].add(sample.labels.get(BASELINE, ""))
    return ids


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values))


def exporter(case: Case) -> Finding:
    """The exporter itself is ready."""
    if case.exporter is None:
        return unchecked("give --exporter http://host:9469 to ask the exporter itself")
    try:
        case.exporter.text("readyz")
    except RemoteError as error:
        if error.status:
            return broken(str(error), "read the exporter's log")
        raise
    return ok(f"{case.exporter.host} is ready")


def evaluations(case: Case) -> Finding:
    """Every exporter evaluates, and Prometheus sees it; one of several that does not is another matter than the only one."""
    last, limit = names.EXPORTER_LAST_EVALUATION.prometheus, seconds(Knobs().stale_after)
    ever = f"last_over_time({last}[{Knobs().memory_window}])"
    ended = f"max by (job, instance) ({ever} and on (job, instance) up) or on (job) max by (job) ({ever})"
    times = {_place(sample.labels): sample.value for sample in case.prometheus.vector(ended)}
    if not times:
        return broken("Prometheus has no metrics of the exporter", "start `otel-ml exporter run`, and name it in scrape_configs")
    down = {_place(sample.labels) for sample in case.prometheus.vector(f"group by (job, instance) ({ever}) and on (job, instance) up == 0")}
    bad = sorted(place for place, at in times.items() if place in down or case.now - at > limit)
    if not bad:
        which = "" if len(times) == 1 else f" of the slowest of {len(times)} exporters"
        return ok(f"the last evaluation{which} ended {ago(min(times.values()), case.now)}")
    told = "; ".join(
        f"the exporter {place} {'does not answer its scrape' if place in down else 'has stopped evaluating'}; "
        f"its last evaluation ended {ago(times[place], case.now)}"
        for place in bad
    )
    working = f"{names.BASELINE_INFO.prometheus}{{{case.matcher}}} and on (job, instance) (time() - {last} <= {limit:g})"
    return _of_one(case, told, working, "check that it runs, then read its log")


def source(case: Case) -> Finding:
    """Every exporter reads its counts and its baselines."""
    up = names.EXPORTER_SOURCE_UP.prometheus
    down = sorted(
        f"the source {sample.labels.get(names.SOURCE, '')} does not answer the exporter {_place(sample.labels)}"
        for sample in case.prometheus.vector(f"max by (job, instance, {names.SOURCE}) ({up}) == 0")
    )
    if down:
        working = f"{names.BASELINE_INFO.prometheus}{{{case.matcher}}} unless on (job, instance) ({up} == 0)"
        return _of_one(case, "; ".join(down), working, "fix `source` in its configuration")
    missing = case.prometheus.vector(f"max by ({names.FILE}) ({names.EXPORTER_BASELINE_MISSING.prometheus}) == 1")
    if missing:
        files = ", ".join(sample.labels.get(names.FILE, "") for sample in missing)
        return look(f"the exporter cannot use {files}", "run `otel-ml baseline validate` on it where the exporter runs")
    return ok("counts and baselines are read")


def _of_one(case: Case, found: str, working: str, mend: str) -> Finding:
    """A fault of one exporter: worth a look where another that works has the model, by the query `working`."""
    others = sorted({_place(sample.labels) for sample in case.prometheus.vector(f"group by (job, instance) ({working})")})
    if others:
        return look(f"{found}; the model is evaluated by {', '.join(others)}", mend)
    return broken(found, mend)


def _place(labels: Labels) -> str:
    return " ".join(filter(None, (labels.get("job", ""), labels.get("instance", ""))))


def scores(case: Case) -> Finding:
    """The model has scores."""
    metrics = f"{names.FEATURE_PSI.prometheus}|{names.PREDICTION_PSI.prometheus}"
    windows = case.prometheus.vector(f'group by ({WINDOW}) ({{__name__=~"{metrics}", {case.matcher}}})')
    if windows:
        return ok(f"over {', '.join(sorted(sample.labels.get(WINDOW, '') for sample in windows))}")
    samples = case.prometheus.vector(f"max by ({WINDOW}, {SIGNAL}) ({names.WINDOW_SAMPLES.prometheus}{{{case.matcher}}})")
    if samples:
        most = max(sample.value for sample in samples)
        return look(f"none: at most {most:.0f} samples in a window", "wait for traffic, or lower minimum_samples of the exporter")
    return broken(
        "none, and no samples", "give the exporter the model's baseline; `otel-ml exporter run --once` says why there is no score"
    )


def labels(case: Case) -> Finding:
    """Ground truth arrives, where it ever did; as ModelLabelsStale has it, where an expected delay is known."""
    last = case.prometheus.number(f"max({names.OUTCOME_LAST_TIMESTAMP.prometheus}{{{case.matcher}}})")
    if last is None:
        return unchecked("no outcome has arrived; calibration and measured performance need otel_ml.record_outcome")
    stated = case.prometheus.number(f"max({names.THRESHOLD.prometheus}{{{case.matcher}, {equal(SIGNAL, names.SIGNAL_LABEL_DELAY)}}})")
    delay = case.prometheus.number(f'max({names.OUTCOME_DELAY.prometheus}{{{case.matcher}, {names.QUANTILE}="0.9"}})') or 0.0
    expected = max(_DAY, 2 * delay) if stated is None else 2 * stated
    if case.now - last > expected:
        return look(f"the last outcome arrived {ago(last, case.now)}, expected every {span(expected)}", "check the job that sends labels")
    return ok(f"the last outcome arrived {ago(last, case.now)}")


def loaded(case: Case) -> Finding:
    """Prometheus has the rules of the pack."""
    ours = alert_names()
    missing = sorted(ours - usual_names(case.rules))
    mend = "name the files of alert_rules/ in rule_files of prometheus.yml and reload; `promtool check config` helps"
    if len(missing) == len(ours):
        return broken(f"none of the {len(ours)} alerts is loaded", mend)
    if missing:
        told = f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
        return look(f"{len(missing)} of {len(ours)} alerts are not loaded: {told}", f"unless this is intended, {mend}")
    return ok(f"all {len(ours)} alerts")


def healthy(case: Case) -> Finding:
    """The rules are evaluated, and none fails."""
    ours = own(case.rules) or case.rules
    failing = next((rule for rule in ours if rule.health == "err"), None)
    if failing:
        return broken(f"{failing.name} fails: {failing.error}", "fix what it names: duplicate labels or samples, or a query limit")
    last = max((rule.evaluated for rule in ours), default=0.0)
    if case.now - last > _STALE_RULES and last:
        return broken(f"the last evaluation was {ago(last, case.now)}", "look at Prometheus' log and load")
    return ok(f"{len(ours)} rules without error")
