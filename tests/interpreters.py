"""Print the oldest and the newest supported Python that this machine has, besides the one that runs this: `version=path`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")


def find(version: str) -> str | None:
    """A working interpreter of a version: on the PATH, or one that pyenv keeps."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python"))]
    check = f"import sys, venv, ensurepip; sys.exit('{version}' != '{{}}.{{}}'.format(*sys.version_info))"
    works = (each for each in candidates if each and subprocess.run([each, "-c", check], capture_output=True, check=False).returncode == 0)
    return next(works, None)


def main() -> None:
    """Found interpreters, one a line."""
    own = "{}.{}".format(*sys.version_info)
    found = [(version, path) for version in SUPPORTED if (path := find(version))]
    others = {found[0], found[-1]} if found else set()
    sys.stdout.writelines(f"{version}={path}\n" for version, path in sorted(others) if version != own)


if __name__ == "__main__":
    main()
