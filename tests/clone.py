"""A copy of the project as a fresh clone is, for tests that do in it what a document shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_NOT_COPIED = (".git", ".venv", ".env", "backups", "data", "logs", "tests")
_PYTHON = f"""#!/bin/sh
exec "{sys.executable}" "$@"
"""
_UV = """#!/bin/sh
[ "$1" = venv ] || exit 0
mkdir -p .venv/bin
cp "{bin}/python3" .venv/bin/python
"""


def copy_project(root: Path) -> None:
    """Copy it to `root`, and beside it a `uv` that needs no network: it lends this test's Python."""
    root.mkdir()
    for path in ROOT.iterdir():
        if path.is_dir() and path.name not in _NOT_COPIED and not path.name.endswith("cache"):
            shutil.copytree(path, root / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.is_file() and path.name not in _NOT_COPIED:
            shutil.copy(path, root)
    for name, text in (("python3", _PYTHON), ("uv", _UV.format(bin=root.parent))):
        write(root.parent / name, text).chmod(0o755)


def bash(root: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the copy; of this process's environment it has the PATH alone, behind what lies beside it."""
    known = {"PATH": f"{root.parent}:{os.environ['PATH']}", "HOME": str(root), "LANG": "C.UTF-8", **environ}
    return subprocess.run(["bash", "-ec", script], cwd=root, env=known, capture_output=True, text=True, check=False)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
