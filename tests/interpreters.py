"""Print the oldest and the newest supported Python that this machine has, besides the one that runs this."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")


def find(version: str) -> str | None:
    """A working interpreter of a version: on the PATH, or one that pyenv keeps."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    candidates = [shutil.which(f"python{version}"), *sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python"))]
    for candidate in filter(None, candidates):
        check = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
        if subprocess.run([candidate, "-c", check], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def main() -> None:
    own = "%d.%d" % sys.version_info[:2]
    found = [(version, path) for version in SUPPORTED if (path := find(version))]
    for version, path in {found[0], found[-1]} if found else set():
        if version != own:
            print(f"{version}={path}")


if __name__ == "__main__":
    main()
