"""Runs, releases and backups record the commit of the project; restore and rollback say which belongs to their data."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Lake

import main
from src.run.revision import Revision, read_revision, read_unsaved

ROWS = "order_id,day,amount,updated\n"
FIELDS = "git_commit, git_dirty"


def git(folder: Path, *args: str) -> str:
    names = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *who, *args], cwd=folder, env=clean | names, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, message: str = "a change") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def repository(lake: Lake) -> str:
    """A shop in a repository of its own, all of it committed; returns the commit."""
    lake.shop()
    (lake.root / ".gitignore").write_text("data/\nlogs/\nbackups/\n")
    git(lake.root, "init", "--quiet")
    return commit(lake.root)


def test_the_revision_is_the_commit_and_whether_contracts_models_or_the_template_differ_from_it(lake: Lake) -> None:
    assert read_revision(lake.root) is None
    lake.shop()
    git(lake.root, "init", "--quiet")
    assert read_revision(lake.root) is None  # no commit yet
    first = commit(lake.root)
    assert read_revision(lake.root) == Revision(first, dirty=False)
    (lake.root / "notes.txt").write_text("not code")
    assert read_revision(lake.root) == Revision(first, dirty=False)
    (lake.root / ".env.example").write_text("LOG_LEVEL=DEBUG\n")
    assert read_revision(lake.root) == Revision(first, dirty=True)
    second = commit(lake.root)
    assert read_revision(lake.root) == Revision(second, dirty=False)
    (lake.root / "src/gold/shop/daily.sql").unlink()
    assert read_revision(lake.root) == Revision(second, dirty=True)
    lake.shop()


def test_a_project_may_be_a_folder_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Lake(tmp_path / "teams" / "shop").shop()
    git(tmp_path, "init", "--quiet")
    first = commit(tmp_path)
    (tmp_path / "teams/other").mkdir()
    (tmp_path / "teams/other/.env.example").write_text("LOG_LEVEL=DEBUG\n")
    (tmp_path / ".env.example").write_text("LOG_LEVEL=DEBUG\n")
    assert read_revision(inside.root) == Revision(first, dirty=False)
    inside.edit("gold/shop/daily.sql", "count(*)", "count(1)")
    assert read_revision(inside.root) == Revision(first, dirty=True)
    unsaved = read_unsaved(inside.root)
    assert unsaved is not None and list(unsaved.changed) == ["teams/shop/src/gold/shop/daily.sql"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # as in a hook of git
    assert read_revision(inside.root) == Revision(first, dirty=True)
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert read_revision(inside.root) is None


def test_git_is_asked_in_a_hundredth_of_a_second_and_writes_nothing(lake: Lake) -> None:
    repository(lake)
    before = {path: path.stat().st_mtime_ns for path in (lake.root / ".git").rglob("*")}
    os.utime(lake.root / "src/gold/shop/daily.sql")  # git would write down that it looked at it
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        read_revision(lake.root)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.1  # ten times as much as it takes on a machine at rest
    assert {path: path.stat().st_mtime_ns for path in (lake.root / ".git").rglob("*")} == before


def test_runs_releases_and_backups_record_the_commit_and_whether_the_tree_was_dirty(lake: Lake) -> None:
    first = repository(lake)
    lake.land("shop/orders/1.csv", ROWS + "1,2024-01-01,10,1\n")
    lake.good()
    assert main.main(["backup", "--project", str(lake.root)]) == 0
    lake.edit("gold/shop/daily.sql", "count(*)", "count(1)")
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.land("shop/orders/2.csv", ROWS + "2,2024-01-01,10,1\n")
    lake.good()
    found = [(first, False), (first, True)]
    assert lake.rows(f"SELECT {FIELDS} FROM ops.pipeline_runs WHERE layer = 'run' ORDER BY start_time") == found
    assert lake.rows(f"SELECT DISTINCT {FIELDS} FROM ops.releases ORDER BY 2") == found
    assert lake.rows(f"SELECT {FIELDS} FROM ops.backups") == found[:1]


def test_without_a_repository_nothing_is_recorded_and_nothing_fails(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", ROWS + "1,2024-01-01,10,1\n")
    lake.good()
    assert lake.rows(f"SELECT {FIELDS} FROM ops.pipeline_runs WHERE layer = 'run'") == [(None, None)]


def test_rollback_and_restore_say_which_commit_belongs_to_what_they_bring_back(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    first = repository(lake)
    lake.land("shop/orders/1.csv", ROWS + "1,2024-01-01,10,1\n")
    before = lake.good()
    lake.edit("gold/shop/daily.sql", "count(*)", "count(1)")
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    second = commit(lake.root)
    (lake.root / ".env.example").write_text("LOG_LEVEL=DEBUG\n")
    lake.land("shop/orders/2.csv", ROWS + "2,2024-01-01,10,1\n")
    lake.good()
    project = ("--project", str(lake.root))
    assert main.main(["backup", *project]) == 0
    capsys.readouterr()
    assert main.main(["restore", "--to", str(lake.root / "other"), *project]) == 0
    line = f"made with git commit {second[:12]} and changes that were not committed: `git checkout {second[:12]}`"
    assert f"{line} brings these contracts and models back, but for the changes" in capsys.readouterr().out
    line = f"made with git commit {first[:12]}: `git checkout {first[:12]}` brings these contracts and models back\n"
    assert main.main(["rollback", "--to", before.run_id, "--dry-run", *project]) == 0
    assert line in capsys.readouterr().out
    assert main.main(["rollback", "--to", before.run_id, *project]) == 0
    assert line in capsys.readouterr().out
    newest = "number = (SELECT max(number) FROM ops.releases)"
    assert lake.rows(f"SELECT DISTINCT {FIELDS} FROM ops.releases WHERE {newest}") == [(first, False)]
