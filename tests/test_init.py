"""A project of one's own: made in an empty folder and nowhere else, whole, runnable, and pinned to the product."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from conftest import ROOT

import main
from src import catalog
from src.commands import names
from src.errors import UsageError
from src.init import layout, pin
from src.project import open_engine
from src.settings import Settings, defaults, env_template, load

TODAY = date(2026, 3, 3)


def made(root: Path, *, sample: bool = False) -> Settings:
    layout.execute(layout.plan(root, ROOT, TODAY, sample=sample))
    return load(root, {"SETTLE_SECONDS": "0"})


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def git(folder: Path, *words: str) -> str:
    name = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    command = ["git", "-C", str(folder), *name, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


# -- the folder


def test_a_project_begins_with_what_it_needs_and_nothing_of_the_product(tmp_path: Path) -> None:
    made(tmp_path / "lake")
    assert files(tmp_path / "lake") == [
        ".env",
        ".env.example",
        ".gitignore",
        "Makefile",
        "README.md",
        "requirements.txt",
        "src/gold/README.md",
        "src/silver/README.md",
    ]
    assert (tmp_path / "lake/data/landing").is_dir()
    assert (tmp_path / "lake/logs").is_dir()
    assert (tmp_path / "lake/README.md").read_text().startswith("# lake\n")
    assert stat.S_IMODE((tmp_path / "lake/.env").stat().st_mode) == 0o600


def test_its_settings_are_the_defaults_and_land_no_sample_company(tmp_path: Path) -> None:
    made(tmp_path)
    assert load(tmp_path, {}) == defaults(tmp_path)
    assert "\n# SAMPLE_FEED=false\n" in (tmp_path / ".env.example").read_text()
    assert "\nSAMPLE_FEED=true\n" in env_template()


def test_the_sample_runs_as_it_is_and_its_figures_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = made(tmp_path, sample=True)
    assert main.main(["run", "--project", str(tmp_path)]) == 0
    assert "Pipeline Finished" in capsys.readouterr().out
    with open_engine(settings) as engine:
        catalog.publish(engine, catalog.tables(settings.data_dir))
        rows = engine.rows("SELECT ordered_on::text, orders, revenue::text FROM gold.shop.daily_sales ORDER BY 1")
    assert rows == [("2026-03-01", 2, "86.90"), ("2026-03-02", 2, "83.95")]
    assert main.main(["test", "--project", str(tmp_path)]) == 0
    assert "2 tests passed" in capsys.readouterr().out
    assert main.main(["docs", "--check", "--project", str(tmp_path)]) == 0


def test_git_takes_all_of_it_but_data_and_settings(tmp_path: Path) -> None:
    made(tmp_path, sample=True)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    taken = git(tmp_path, "ls-files").splitlines()
    left = {name for name in files(tmp_path) if not name.startswith(".git/")} - set(taken)
    assert {name.split("/")[0] for name in left} == {".env", "data"}
    assert "requirements.txt" in taken


def test_a_folder_that_holds_anything_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"the folder is not empty; it has notes\.txt\n"):
        layout.plan(tmp_path, ROOT, TODAY)
    assert files(tmp_path) == ["notes.txt"]
    with pytest.raises(UsageError, match="a file, where a folder is to be"):
        layout.plan(tmp_path / "notes.txt", ROOT, TODAY)


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    plan = layout.plan(tmp_path, ROOT, TODAY)
    (tmp_path / "Makefile").write_text("mine")
    with pytest.raises(UsageError, match="a file that was not there before"):
        layout.execute(plan)
    assert (tmp_path / "Makefile").read_text() == "mine"


def test_the_command_lists_what_it_makes_and_a_dry_run_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    assert main.main(["init", str(lake), "--sample", "--dry-run"]) == 0
    listed = capsys.readouterr().out
    assert not lake.exists()
    assert main.main(["init", str(lake), "--sample"]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert shown == files(lake) == [line.strip() for line in listed.splitlines() if line.startswith("  ")]
    assert main.main(["init", str(lake)]) == UsageError.exit_code


def test_a_folder_that_is_no_project_is_refused_and_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["status", "--project", str(tmp_path)]) == UsageError.exit_code
    assert "init" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# -- its Makefile


def test_every_target_is_a_command_and_its_options_arrive(tmp_path: Path) -> None:
    made(tmp_path)
    program = tmp_path / ".venv/bin/boathouse"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    (tmp_path / ".venv/.ready").write_text("")

    def run_make(*words: str) -> str:
        command = ["make", "-s", "-C", str(tmp_path), *words]
        own = {name: value for name, value in os.environ.items() if name not in ("ARGS", "MAKEFLAGS", "MFLAGS")}
        return subprocess.run(command, env=own, capture_output=True, text=True, check=True).stdout.strip()

    assert run_make("pipeline") == "run"
    assert run_make("pipeline", "ARGS=--domain shop") == "run --domain shop"
    assert run_make("vacuum", "DRY_RUN=1") == "vacuum --dry-run"
    assert run_make("query", "SQL=SELECT '$1'") == "query -- SELECT '$1'"
    assert run_make("schedule", "REMOVE=1", "KIND=systemd") == "schedule --remove --kind=systemd"
    assert run_make("schema-version", "VERB=retag") == "schema-version retag"
    assert run_make("alerts") == "alerts list"
    assert run_make("preview", "TABLE=shop.orders", "LIMIT=3") == "preview --limit=3 -- shop.orders"
    assert run_make("pull", "SOURCE=ads", "WHERE=app = 'a b'") == "pull --source=ads --where=app = 'a b'"
    assert run_make("test", "ARGS=--model shop.orders") == "test --model shop.orders"
    lists = {"morning", "afternoon", "week", "month", "month-end"}
    assert {run_make(name) for name in lists} == {f"checklist {name}" for name in lists}
    assert run_make("month-end", "MONTH=2026-11") == "checklist month-end --month=2026-11"
    called = {name: run_make(name).split()[0] for name in targets(tmp_path) - {"help", "setup", "pipeline", *lists}}
    assert called == {name: name for name in called}
    assert set(called) - set(names()) == set()


def targets(project: Path) -> set[str]:
    """The targets of a project's Makefile that its help lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", (project / "Makefile").read_text(), re.MULTILINE))


def test_a_projects_command_takes_every_variable_that_the_products_takes(tmp_path: Path) -> None:
    """Make says nothing of a variable that no target reads: `make restore BACKUP=...` would bring back another."""
    made(tmp_path)
    product = (ROOT / "Makefile").read_text()
    variables = sorted(set(re.findall(r"([A-Z_]{2,})=", product)) - {"PYTHONDONTWRITEBYTECODE"})

    def said(folder: Path, name: str) -> str:
        command = ["make", "-n", "-s", "-C", str(folder), name, *(f"{variable}=false" for variable in variables)]
        own = {key: value for key, value in os.environ.items() if key not in ("ARGS", "MAKEFLAGS", "MFLAGS")}
        return subprocess.run(command, env=own, capture_output=True, text=True, check=True).stdout.splitlines()[-1]

    both = targets(tmp_path) & set(re.findall(r"^([a-z-]+): ready(?:-page)? ##", product, re.MULTILINE))
    assert len(both) > 20
    for name in both:
        expected = re.sub(r"\S+ main.py ([a-z-]+)", r".venv/bin/boathouse \1 false", said(ROOT, name))
        assert said(tmp_path, name).split() == expected.replace("alerts false list", "alerts false").split()


def test_a_pin_that_was_raised_is_installed_by_the_next_command(tmp_path: Path) -> None:
    made(tmp_path)
    for name in ("pip", "boathouse"):
        program = tmp_path / ".venv/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        program.chmod(0o755)
    command = ["make", "-s", "-C", str(tmp_path), "plan"]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert [line.split()[0] for line in first.splitlines()] == ["pip", "boathouse"]
    assert [line.split()[0] for line in second.splitlines()] == ["boathouse"]
    later = (tmp_path / ".venv/.ready").stat().st_mtime + 5
    os.utime(tmp_path / "requirements.txt", (later, later))
    assert "pip install" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_messages_tell_people_to_type_is_a_target_of_a_projects_makefile_too(tmp_path: Path) -> None:
    made(tmp_path)
    told = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }
    assert len(told) > 8
    assert told - targets(tmp_path) - {"wheel"} == set()


# -- the pin


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a product, with one commit."""
    folder = tmp_path / "product"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "One")
    return folder


def published(clone: Path, address: str) -> None:
    """Make it as if the commit had been pushed to a remote of that address."""
    git(clone, "remote", "add", "origin", address)
    git(clone, "update-ref", "refs/remotes/origin/main", "HEAD")


@pytest.mark.parametrize(
    ("address", "pinned"),
    [
        ("https://example.com/boathouse.git", "boathouse @ git+https://example.com/boathouse.git@"),
        ("git@example.com:ada/boathouse.git", "boathouse @ git+ssh://git@example.com/ada/boathouse.git@"),
    ],
)
def test_a_clone_whose_commit_is_published_is_pinned_by_it(clone: Path, address: str, pinned: str) -> None:
    published(clone, address)
    assert pin.lines(clone).splitlines()[-1] == pinned + git(clone, "rev-parse", "HEAD")


def test_a_clone_whose_commit_nobody_can_fetch_is_pinned_by_its_folder(clone: Path) -> None:
    by_folder = f"boathouse @ {clone.as_uri()}"
    assert pin.lines(clone).splitlines()[-1] == by_folder
    published(clone, "https://example.com/boathouse.git")
    (clone / "new.py").write_text("")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "Two")
    assert pin.lines(clone).splitlines()[-1] == by_folder


@pytest.mark.parametrize(
    ("recorded", "pinned"),
    [
        (None, ["boathouse==9.9.9"]),
        (
            {"url": "file:///my%20wheels/boathouse-9.9.9-py3-none-any.whl", "archive_info": {}},
            ["--find-links file:///my%20wheels", "boathouse==9.9.9"],
        ),
        (
            {"url": "https://example.com/b.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            ["boathouse @ git+https://example.com/b.git@abc"],
        ),
        (
            {"url": "https://example.com/boathouse-9.9.9-py3-none-any.whl", "archive_info": {}},
            ["boathouse @ https://example.com/boathouse-9.9.9-py3-none-any.whl"],
        ),
        ({"url": "file:///clone", "dir_info": {}}, ["boathouse @ file:///clone"]),
    ],
)
def test_an_installed_product_is_pinned_as_it_was_installed(
    tmp_path: Path, recorded: dict[str, object] | None, pinned: list[str]
) -> None:
    """What an installer leaves in site-packages, read by a fresh Python that has nothing else of the product."""
    info = tmp_path / "site/boathouse-9.9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: boathouse\nVersion: 9.9.9\n")
    if recorded:
        (info / "direct_url.json").write_text(json.dumps(recorded))
    code = "import sys, pathlib; from src.init import pin; print(pin.lines(pathlib.Path(sys.argv[1])))"
    environ = os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert [line for line in ran.stdout.splitlines() if not line.startswith("#")] == pinned


def test_init_is_among_the_commands() -> None:
    assert "init" in names()
