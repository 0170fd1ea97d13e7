"""Which baseline belongs to which model: the file that OTEL_ML_MODELS names, or the one baseline of OTEL_ML_BASELINE."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from otel_ml.baseline import Baseline
from otel_ml.errors import BaselineError, ConfigurationError, Fault
from otel_ml.monitor import Monitor

MODELS: Final = "OTEL_ML_MODELS"
BASELINE: Final = "OTEL_ML_BASELINE"

_FRAMEWORKS: Final = ("sklearn", "xgboost", "lightgbm", "onnxruntime", "torch", "keras", "mlflow")
_CONDITIONS: Final = ("framework", "class", "features")
_IDENTITY: Final = ("baseline", "model", "version", "match", "method")
_OF_THE_CALL: Final = ("inputs", "output", "prediction_ids", "abstain", "fallback")
"""Options about a function's arguments and its answer, which an instrumentor knows and never changes."""

_OPTIONS: Final = tuple(
    name
    for name, parameter in inspect.signature(Monitor).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in (*_IDENTITY, *_OF_THE_CALL) and not name.endswith("_provider")
)
_GENERIC = re.compile(r"(f|x|x_|Column_|feature_)?\d+")


@dataclass(frozen=True)
class Facts:
    """What a model says of itself; `names` and `number` of its features are None where it does not know them."""

    framework: str
    classes: tuple[str, ...]
    names: tuple[str, ...] | None = None
    number: int | None = None


@dataclass(frozen=True)
class Entry:
    """One model of the configuration: whom it fits (`match`), what counts (`method`, None: the usual), and the monitor's options."""

    place: str
    baseline: Baseline | None
    options: Mapping[str, Any]
    match: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None

    def fits(self, facts: Facts) -> bool:
        """Whether this is the entry of a model: all its conditions hold, or, without any, the features are those of the baseline."""
        if not self.match:
            return self.baseline is not None and _same_features(self.baseline.columns, facts)
        wanted = self.match.get("features")
        return (
            self.match.get("framework", facts.framework) == facts.framework
            and ("class" not in self.match or self.match["class"] in facts.classes)
            and (wanted is None or (wanted == facts.number if isinstance(wanted, int) else tuple(wanted) == facts.names))
        )


def _same_features(own: tuple[str, ...], facts: Facts) -> bool:
    """By name where both sides have names that mean something, else by number; a model that knows neither fits."""
    if facts.names is not None and {_without_spaces(name) for name in own} <= {_without_spaces(name) for name in facts.names}:
        return True
    if facts.names is not None and not (_generic(own) or _generic(facts.names)):
        return False
    return facts.number is None or facts.number == len(own)


def _without_spaces(name: str) -> str:
    """LightGBM keeps names so."""
    return name.replace(" ", "_")


def _generic(names: tuple[str, ...]) -> bool:
    return all(map(_GENERIC.fullmatch, names))


def read(environment: Mapping[str, str]) -> tuple[Entry, ...]:
    """The entries that the environment names, none when it names nothing; raises `ConfigurationError` with every fault."""
    models, baseline = environment.get(MODELS, "").strip(), environment.get(BASELINE, "").strip()
    if models and baseline:
        raise ConfigurationError("the environment", [Fault(BASELINE, f"is set together with {MODELS}", "name each baseline in that file")])
    faults: list[Fault] = []
    if baseline:
        entries = [Entry(BASELINE, _loaded(Path(baseline), BASELINE, faults), {})]
    else:
        entries = list(_entries(Path(models), faults)) if models else []
    if faults:
        raise ConfigurationError(f"{MODELS}={models}" if models else f"{BASELINE}={baseline}", faults)
    return tuple(entries)


def _entries(path: Path, faults: list[Fault]) -> Iterator[Entry]:
    content = _parsed(path, faults)
    if faults:
        return
    listed = content.get("models") if isinstance(content, Mapping) else None
    if not isinstance(listed, list) or not listed:
        faults.append(Fault("models", "is no list with an entry", 'write {"models": [{"baseline": "churn-3.json"}]}'))
        return
    faults += [Fault(str(key), "is unknown", "the file takes models, a list") for key in content if key != "models"]
    for index, raw in enumerate(listed):
        place = f"models[{index}]"
        if not isinstance(raw, Mapping):
            faults.append(Fault(place, "is no mapping", 'write {"baseline": "churn-3.json"}'))
        else:
            yield _entry(raw, place, path.parent, faults)


def _entry(raw: Mapping[str, Any], place: str, folder: Path, faults: list[Fault]) -> Entry:
    faults += [
        Fault(f"{place}.{key}", "is unknown", f"it takes {', '.join((*_IDENTITY, *_OPTIONS))}")
        for key in raw
        if key not in (*_IDENTITY, *_OPTIONS)
    ]
    match = raw.get("match", {})
    if not isinstance(match, Mapping):
        faults.append(Fault(f"{place}.match", "is no mapping", f"it takes {', '.join(_CONDITIONS)}"))
        match = {}
    faults += [Fault(f"{place}.match.{key}", "is unknown", f"it takes {', '.join(_CONDITIONS)}") for key in match if key not in _CONDITIONS]
    framework = match.get("framework", _FRAMEWORKS[0])
    if framework not in _FRAMEWORKS:
        faults.append(Fault(f"{place}.match.framework", f"is {framework!r}", f"give one of {', '.join(_FRAMEWORKS)}"))
    features = match.get("features", 0)
    if not (isinstance(features, int) or (isinstance(features, list) and all(isinstance(name, str) for name in features))):
        faults.append(Fault(f"{place}.match.features", f"is {features!r}", "give their number, or the list of their names"))
    if "baseline" not in raw and not {"model", "version"} <= raw.keys():
        faults.append(Fault(place, "has neither a baseline nor a name", "give baseline, or model and version"))
    if raw.get("method") is not None and not isinstance(raw["method"], str):
        faults.append(Fault(f"{place}.method", f"is {raw['method']!r}", "give the name of the method that counts, such as predict_proba"))
    path = raw.get("baseline")
    baseline = _loaded(folder / str(path), f"{place}.baseline", faults) if path is not None else None
    options = {key: value for key, value in raw.items() if key in ("model", "version", *_OPTIONS)}
    return Entry(place, baseline, options, match, raw.get("method"))


def _parsed(path: Path, faults: list[Fault]) -> Any:
    try:
        text = path.read_text("utf-8")
        if path.suffix in (".yaml", ".yml"):
            return importlib.import_module("yaml").safe_load(text)
        return json.loads(text)
    except ModuleNotFoundError:
        faults.append(Fault(str(path), "is YAML, and PyYAML is not installed", "pip install pyyaml, or write the file as JSON"))
    except OSError as error:
        faults.append(Fault(str(path), f"cannot be read ({error.strerror})", "give the path of a file that this process may read"))
    except Exception as error:  # noqa: BLE001 - whatever a parser raises, the file is not what it should be
        faults.append(Fault(str(path), f"is not valid: {' '.join(str(error).split())}", "mend the file"))
    return None


def _loaded(path: Path, place: str, faults: list[Fault]) -> Baseline | None:
    try:
        return Baseline.load(path)
    except BaselineError as error:
        faults += [Fault(f"{place} {path}: {fault.place}", fault.problem, fault.mend) for fault in error.faults]
    except OSError as error:
        faults.append(Fault(place, f"{path} cannot be read ({error.strerror})", "give the path of the baseline's file"))
    return None
