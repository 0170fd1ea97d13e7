"""What the instrumentors share: they wait until the framework is imported, and never import it themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry.instrumentation.dependencies import get_dependency_conflicts
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from wrapt import register_post_import_hook

from otel_ml._guard import logger
from otel_ml.errors import FaultsError
from otel_ml.instrumentation._hooks import Framework, Hooks
from otel_ml.instrumentation._models import Models, models_of

_OF_THE_COMMAND = frozenset({"skip_dep_check", "raise_exception_on_conflict"})
"""Arguments by which `opentelemetry-instrument`, of one version or another, calls `instrument`."""


_PROVIDERS = ("logger_provider", "meter_provider", "tracer_provider")


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Counts the predictions of one framework from `instrument()` to `uninstrument()`.

    `instrument()` takes `meter_provider`, `logger_provider` and `tracer_provider`, as all instrumentors do. It raises
    `ConfigurationError` for a broken configuration of models. Under `opentelemetry-instrument`, which would log that and go on
    unwatched, it ends the process instead.
    """

    framework: ClassVar[Framework]
    module: ClassVar[str]
    """The module whose import is waited for."""
    packages: ClassVar[tuple[str, ...]]
    """The distributions that may bring it."""
    versions: ClassVar[str]
    _waiting = False

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the classes of the imported framework."""
        raise NotImplementedError

    def instrumentation_dependencies(self) -> Collection[str]:
        """The distribution that is installed, or would be, with the supported versions."""
        return (f"{next(filter(_installed, self.packages), self.packages[0])} {self.versions}",)

    def instrument(self, **kwargs: Any) -> Any:
        """Count from now on; see the class."""
        try:
            return super().instrument(**kwargs)
        except FaultsError as error:
            if not _OF_THE_COMMAND & kwargs.keys():
                raise
            sys.stderr.write(f"otel-ml: {error}\n")
            sys.stderr.flush()
            if _is_starting():
                os._exit(2)  # SystemExit would be buried under a traceback of the interpreter
            raise SystemExit(2) from None

    def _instrument(self, **kwargs: Any) -> None:
        self._models: Models | None = models_of({name: kwargs.get(name) for name in _PROVIDERS})
        self._hooks: Hooks | None = None
        if self.module in sys.modules:
            self._imported(sys.modules[self.module])
        elif not self._waiting:
            self._waiting = True
            register_post_import_hook(self._imported, self.module)

    def _uninstrument(self, **_: Any) -> None:
        if self._hooks is not None:
            self._hooks.undo()
        self._hooks = self._models = None

    def _imported(self, module: ModuleType) -> None:
        if self._models is None or self._hooks is not None:
            return
        conflict = get_dependency_conflicts(self.instrumentation_dependencies())
        if conflict is not None:
            logger.warning("otel-ml does not watch this version of %s: %s", self.framework.name, conflict)
            return
        self._hooks = Hooks(self.framework, self._models)
        try:
            self.hook(module, self._hooks)
        except Exception:  # noqa: BLE001 - an import never fails because of telemetry
            logger.exception("otel-ml cannot watch %s; its predictions are not counted", self.framework.name)


def _is_starting() -> bool:
    """Whether the interpreter is importing `sitecustomize`, before any program runs."""
    frame = sys._getframe()  # noqa: SLF001 - the documented way to know who calls
    while frame.f_back is not None and frame.f_code.co_name != "execsitecustomize":
        frame = frame.f_back
    return frame.f_code.co_name == "execsitecustomize"


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
