"""A copy of the project as a fresh clone is, for tests that do in it what a document shows.

```sh                run in one shell, which stops at the first command that fails
```yaml, ```sql      written to the path in the comment on its first line
```text              the end of what the ```sh before it prints; seconds and the days of a window may differ
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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


Blocks = list[tuple[str, str]]  # language and text, in the document's order


def blocks(document: str) -> Blocks:
    return re.findall(r"^```(\w*)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


@dataclass
class Shown:
    """A project in which everything was done that a document shows."""

    root: Path
    instead: Mapping[str, str] = field(default_factory=dict)  # what stands in the document, and what is there
    environ: Mapping[str, str] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)  # by each ```sh
    promised: list[tuple[str, str]] = field(default_factory=list)  # each ```text, and what was printed before it

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        for shown, there in self.instead.items():
            script = script.replace(shown, there)
        return bash(self.root, script, **{"SAMPLE_DAYS": "7", "SETTLE_SECONDS": "0", **self.environ})

    def short(self, text: str) -> str:
        """Text as a document has it: paths from the project's folder."""
        for shown, there in self.instead.items():
            text = text.replace(there, shown)
        return text.replace(f"{self.root}/", "")

    def kept(self) -> int:
        """How many promises there were, once each of them is seen to be kept."""
        for text, printed in self.promised:
            kept = "\n".join(_steady(printed)).endswith("\n".join(_steady(text)))
            assert kept, f"the document says\n{text}\nbut printed is\n{printed}"
        return len(self.promised)


def done_as_shown(
    root: Path,
    document: Blocks,
    leave: Iterable[str] = (),
    instead: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Shown:
    """A copy of the project in which the blocks were run and written; `leave`: beginnings of lines that are not run.

    `instead`: what a document calls a server, and where the test's own is.
    """
    copy_project(root)
    shown = Shown(root, instead or {}, environ or {})
    for kind, text in document:
        if kind == "sh":
            script = "\n".join(line for line in text.splitlines() if not line.startswith(tuple(leave)))
            done = shown.run(script)
            assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
            shown.printed.append(shown.short(done.stdout))
        elif kind == "text":
            shown.promised.append((text, shown.printed[-1]))
        elif kind:
            write(root / text.splitlines()[0].lstrip("#- "), text)
    return shown


def _steady(text: str) -> Iterator[str]:
    """The lines without how long a run and its steps took, and without the days it answers for."""
    timed = False
    for line in text.splitlines():
        timed = line.endswith("  seconds") or (timed and "  " in line)
        line = re.sub(r"^window \S+ to \S+:", "window:", line)
        yield re.sub(r" +(seconds|-+|[\d.]+)$" if timed else r", [\d.]+ s\)$", "", line)


def copy_project(root: Path) -> None:
    """Copy it to `root`, and beside it a `uv` that needs no network: it lends this test's Python.

    What is compiled comes along: it is what Python would make of the same files, which takes seconds.
    """
    root.mkdir()
    for path in ROOT.iterdir():
        if path.is_dir() and path.name not in _NOT_COPIED and not path.name.endswith("cache"):
            shutil.copytree(path, root / path.name)
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
