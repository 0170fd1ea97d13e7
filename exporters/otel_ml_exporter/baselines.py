"""The baselines and samples that the configuration names: loaded, read again when they change, and missed when they are not there."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from otel_ml.baseline import Baseline
from otel_ml.errors import BaselineError, ConfigurationError, Fault
from otel_ml_exporter import shape
from otel_ml_exporter.config import ModelSettings
from otel_ml_exporter.rows.codes import Codes
from otel_ml_exporter.rows.sample import SampleError, fingerprint_of, read
from otel_ml_exporter.thresholds import Limits

_log = logging.getLogger(__name__)
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Watched:
    """A baseline, the file it came from as the configuration names it, the limits of its model, and a sample of its rows or None."""

    file: str
    baseline: Baseline
    limits: Limits
    sample: Codes | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The model and version."""
        return self.baseline.model, self.baseline.version


@dataclass(frozen=True)
class Loaded:
    """The baselines that can be used, and the files that cannot be, each with the reason."""

    watched: tuple[Watched, ...]
    missing: dict[str, str]


class BaselineFiles:
    """Reads each file once, and again when it changes."""

    def __init__(self, models: Sequence[ModelSettings], directory: Path) -> None:
        self._models = models
        self._directory = directory
        self._read: dict[str, tuple[_Stamp, Baseline | str]] = {}
        self._samples: dict[str, tuple[_Stamp, str, Codes]] = {}
        self._said: dict[str, str] = {}

    def load(self) -> Loaded:
        """The baselines as the files are now; a change for the worse or the better is logged once."""
        loaded = self._load()
        for file, problem in loaded.missing.items():
            if self._said.get(file) != problem:
                _log.warning("no scores from baseline %s: %s", file, problem)
        for file in self._said.keys() - loaded.missing.keys():
            _log.info("baseline %s can be used again", file)
        self._said = loaded.missing
        return loaded

    def check(self) -> Loaded:
        """As `load`; raises `ConfigurationError` for a file that is there and cannot be used."""
        loaded = self._load()
        broken = [
            Fault(f"baseline {file}", problem, "mend it or build it again")
            for file, problem in loaded.missing.items()
            if self._exists(file)
        ]
        broken += self._unknown_features(loaded)
        if broken:
            raise ConfigurationError("the baselines", broken)
        return loaded

    def _unknown_features(self, loaded: Loaded) -> Iterator[Fault]:
        """Features with limits of their own that none of the loaded baselines of their entry has."""
        for index, model in enumerate(self._models):
            own = [watched.baseline for watched in loaded.watched if watched.limits is model.limits]
            known = {feature.name for baseline in own for feature in baseline.features}
            for name in model.limits.features.keys() - known if own else ():
                yield Fault(f"models[{index}].features.{name}", "is in none of its baselines", f"known are {shape.brief(sorted(known))}")

    def _exists(self, file: str) -> bool:
        return (self._directory / file).is_file()

    def _load(self) -> Loaded:
        watched: dict[tuple[str, str], Watched] = {}
        missing: dict[str, str] = {}
        for file, limits in self._files():
            baseline = self._baseline(file)
            if isinstance(baseline, str):
                missing[file] = baseline
            elif (other := watched.get((baseline.model, baseline.version))) is not None:
                missing[file] = f"is of model {baseline.model} {baseline.version}, as {other.file} is; keep one of them"
            else:
                watched[baseline.model, baseline.version] = Watched(file, baseline, limits)
        for model in self._models:
            self._add_samples(model, watched, missing)
        return Loaded(tuple(watched.values()), missing)

    def _files(self) -> Iterator[tuple[str, Limits]]:
        for model in self._models:
            yield from ((file, model.limits) for file in self._expanded(model.baseline))

    def _expanded(self, pattern: str) -> list[str]:
        if not glob.has_magic(pattern):
            return [pattern]
        return sorted(glob.glob(pattern, root_dir=self._directory, recursive=True)) or [pattern]  # noqa: PTH207 - a pattern may be absolute

    def _add_samples(self, model: ModelSettings, watched: dict[tuple[str, str], Watched], missing: dict[str, str]) -> None:
        """Give each baseline of an entry the sample with its fingerprint."""
        own = {entry.baseline.fingerprint: entry for entry in watched.values() if entry.limits is model.limits}
        for file in self._expanded(model.sample) if model.sample and own else ():
            found = self._sample_or_problem(file, own)
            if isinstance(found, str):
                missing[file] = found
            else:
                watched[found.key] = found

    def _sample_or_problem(self, file: str, own: Mapping[str, Watched]) -> Watched | str:
        try:
            return self._sample(file, own)
        except SampleError as error:
            return str(error)
        except OSError as error:
            return f"cannot be read ({error.strerror})"

    def _sample(self, file: str, own: Mapping[str, Watched]) -> Watched:
        path = self._directory / file
        stamp = _stamp(path)
        if file not in self._samples or self._samples[file][0] != stamp or self._samples[file][1] not in own:
            fingerprint = fingerprint_of(path)
            if fingerprint not in own:
                raise SampleError(f"is of baseline {fingerprint}, not {', '.join(own)}; build both at once")
            self._samples[file] = stamp, fingerprint, read(path, own[fingerprint].baseline)
        _, fingerprint, rows = self._samples[file]
        return replace(own[fingerprint], sample=rows)

    def _baseline(self, file: str) -> Baseline | str:
        """The baseline in a file, or the reason why there is none."""
        path = self._directory / file
        try:
            stamp = _stamp(path)
            if file not in self._read or self._read[file][0] != stamp:
                self._read[file] = stamp, _load_file(path)
            return self._read[file][1]
        except OSError as error:
            self._read.pop(file, None)
            return f"cannot be read ({error.strerror})"


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _load_file(path: Path) -> Baseline | str:
    try:
        return Baseline.load(path)
    except BaselineError as error:
        return "; ".join(str(fault) for fault in error.faults)
