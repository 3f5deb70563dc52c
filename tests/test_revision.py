"""Runs, releases and backups record the commit of the project; restore and rollback say which belongs to their data."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Lake

import main
from src import monitors
from src.errors import UsageError
from src.project import open_project
from src.run.revision import Revision, read_revision, read_unsaved

ROWS = "order_id,day,amount,updated\n"
FIELDS = "git_commit, git_dirty"


def git(folder: Path, *args: str, at: datetime | None = None) -> str:
    names = {"GIT_COMMITTER_DATE": f"{at:%Y-%m-%dT%H:%M:%S+00:00}"} if at else {}
    names |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *who, *args], cwd=folder, env=clean | names, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, at: datetime | None = None) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "a change", at=at)
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


def march(day: int, hour: int) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def touched(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def unsaved(lake: Lake, now: datetime) -> list[str]:
    """What the health check says of work that is not committed or not pushed."""
    with open_project(lake.settings) as project:
        found = monitors.evaluate(project, now).problems
    return [f"{one.urgency} {one.incident}: {one.what} -> {one.fix}" for one in found if one.kind == "uncommitted"]


def test_work_that_is_not_committed_when_the_day_ends_is_a_problem_until_it_is(lake: Lake) -> None:
    lake.shop()
    assert unsaved(lake, march(2, 20)) == []  # no repository
    repository(lake)
    assert unsaved(lake, march(2, 20)) == []
    lake.edit("gold/shop/daily.sql", "count(*)", "count(1)")
    new = lake.write("silver/shop/other.yaml", (lake.root / "src/silver/shop/orders.yaml").read_text())
    new.write_text(new.read_text().replace("orders", "other"))
    touched(new, march(2, 9))
    touched(lake.root / "src/gold/shop/daily.sql", march(2, 19))  # after the day ended: that may wait until the next
    (lake.root / "notes.txt").write_text("not code")
    assert unsaved(lake, march(2, 17)) == []
    line = "P3 uncommitted project: not committed: {} -> `git add` and `git commit` these files and `git push`"
    assert unsaved(lake, march(2, 18)) == [line.format("src/silver/shop/other.yaml")]
    assert unsaved(lake, march(3, 10)) == [line.format("src/silver/shop/other.yaml")]
    both = "src/gold/shop/daily.sql, src/silver/shop/other.yaml"
    assert unsaved(lake, march(3, 18)) == [line.format(both)]
    lake.environ["TIMEZONE"] = "America/New_York"  # 18:00 there is 23:00 UTC
    assert unsaved(lake, march(3, 22)) == [line.format(both)]
    assert unsaved(lake, march(2, 22)) == []
    commit(lake.root)
    assert unsaved(lake, march(4, 20)) == []


def test_a_commit_that_no_remote_has_when_the_day_ends_is_a_problem(lake: Lake, tmp_path: Path) -> None:
    repository(lake)
    assert unsaved(lake, march(9, 20)) == []  # there is no remote to push to
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(lake.root, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(lake.root, "push", "--quiet", "origin", "main")  # without a branch to follow
    assert unsaved(lake, march(9, 20)) == []
    (lake.root / "notes.txt").write_text("not code")
    commit(lake.root, march(2, 9))
    assert unsaved(lake, march(2, 20)) == []
    lake.edit("gold/shop/daily.sql", "count(*)", "count(1)")
    commit(lake.root, march(2, 9))
    assert unsaved(lake, march(2, 17)) == []
    assert unsaved(lake, march(2, 20)) == ["P3 uncommitted project: not pushed: 1 commit -> `git push`"]
    git(lake.root, "push", "--quiet", "origin", "main")
    assert unsaved(lake, march(2, 20)) == []


@pytest.mark.parametrize("zone", ["Nowhere/Here", "../etc", "", "America"])
def test_a_time_zone_that_is_none_is_refused(lake: Lake, zone: str) -> None:
    lake.environ["TIMEZONE"] = zone
    with pytest.raises(UsageError, match="for example Europe/Oslo"):
        print(lake.settings)
