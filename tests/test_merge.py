"""A clone that became somebody's own project: sample removed, a domain added, the next version merged.

Nothing of theirs conflicts, nothing is built again, and the product's tests pass without the sample company.
WHOLE_SUITE=1 runs all of these tests there, not only a few.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DAILY, MART, ORDERS, ROOT

RELEASED = "be51a510436cf6d533e2ca4acc8e1b13340a3e5d"  # 0.1.0
SAMPLE = ("company", "delivery", "kpi", "manufacturing", "sales")
MINE = {
    "src/silver/shop/orders.yaml": ORDERS,
    "src/gold/shop/contract.yaml": MART,
    "src/gold/shop/daily.sql": DAILY,
}
FEW = ("tests/sample", "tests/test_init.py", "tests/test_documents.py", "tests/test_settings.py")


def git(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    name = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    command = ["git", "-C", str(folder), *name, *words]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def typed(clone: Path, *words: str) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(clone.parent), "SETTLE_SECONDS": "0", "LANG": "C.UTF-8"}
    command = [sys.executable, "main.py", *words]
    ran = subprocess.run(command, cwd=clone, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{words}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def remove_sample(clone: Path) -> None:
    """Do what docs/projects.md says: remove the sample company's folders, whatever of them is there."""
    folders = [f"src/{layer}/{name}" for layer in ("silver", "gold") for name in SAMPLE]
    git(clone, "rm", "-rqf", "--ignore-unmatch", *folders)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of 0.1.0 without the sample company and with a domain of its own, which has run."""
    if not shutil.which("git") or git(ROOT, "cat-file", "-e", f"{RELEASED}^{{commit}}", check=False).returncode:
        pytest.skip("the history of this clone does not reach back to 0.1.0")
    folder = tmp_path / "mine"
    git(tmp_path, "clone", "-q", "--shared", "--no-checkout", str(ROOT), str(folder))
    git(folder, "checkout", "-qb", "mine", RELEASED)
    remove_sample(folder)
    for name, text in MINE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "The shop, and no sample company")
    landed = folder / "data/landing/shop/orders/1.csv"
    landed.parent.mkdir(parents=True)
    landed.write_text("order_id,day,amount,updated\n1,2026-01-01,10.10,1\n2,2026-01-02,0.20,1\n", encoding="utf-8")
    assert "Pipeline Finished" in typed(folder, "run")
    return folder


@pytest.mark.long
def test_the_next_version_is_merged_without_a_conflict_of_theirs_and_builds_nothing_again(clone: Path) -> None:
    newest = git(ROOT, "rev-parse", "HEAD").stdout.strip()
    git(clone, "merge", "-q", "--no-edit", newest, check=False)
    conflicts = git(clone, "diff", "--name-only", "--diff-filter=U").stdout.split()
    assert [name for name in conflicts if name.split("/")[2] not in SAMPLE] == []
    remove_sample(clone)
    git(clone, "commit", "-q", "--no-edit", "--allow-empty", "-m", "The next version")
    assert git(clone, "status", "--porcelain").stdout == ""
    assert {name: (clone / name).read_text(encoding="utf-8") for name in MINE} == MINE
    would = re.findall(r"^(?:bronze|silver|gold)\.\S+ +(\w+)", typed(clone, "plan"), re.MULTILINE)
    assert would == ["nothing"] * 3
    assert "0 changed" in typed(clone, "run")
    assert "every law holds" in typed(clone, "check", "--quick")
    typed(clone, "docs")
    the_products_tests_pass(clone)


def the_products_tests_pass(clone: Path) -> None:
    whole = bool(os.environ.get("WHOLE_SUITE"))
    chosen = ["--deselect", "tests/test_merge.py"] if whole else list(FEW)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-rf"]
    for words in (["--collect-only", *chosen], chosen):
        ran = subprocess.run([*command, *words], cwd=clone, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-5000:]
    assert re.search(r"^s+\.* ", ran.stdout, re.MULTILINE)  # the sample company's
