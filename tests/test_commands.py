"""The commands: one file each, one parser, one door; each shows itself in --help."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import ORDERS as CONTRACT
from conftest import ROOT, Lake, short, typed
from deltalake import DeltaTable

from src import commands, console

HEADER = "order_id,day,amount,updated\n"
COMMANDS = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
# They were once called as modules of src.maintenance, and may be scheduled so.
MOVED = ("backup", "drill", "jobs", "optimize", "restore", "rotate-logs", "schedule", "schema-version", "vacuum")


@dataclass(frozen=True)
class Found:
    name: str
    amount: Decimal
    day: date
    path: Path


def shop(lake: Lake) -> Lake:
    """A small shop in which one row is rejected, and the mart is late."""
    lake.shop().edit("gold/shop/contract.yaml", "unit: d}]", "unit: d}, {property: latency, value: 26, unit: h}]")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,x,1\n")
    return lake


# -- the folder is the registry


def test_a_command_is_a_file_with_its_help_its_arguments_and_its_run() -> None:
    assert {"run", "plan", "vacuum", "backup", "schema-version", "rotate-logs", "jobs"} <= set(commands.names())
    for name in commands.names():
        command = commands.module(name)
        assert re.fullmatch(r"[A-Z].*\.", commands.help_line(name)), name
        assert commands.help_line(name) == (command.__doc__ or "").splitlines()[0]
        parser = ArgumentParser()
        command.arguments(parser)
        assert callable(command.run), name


def test_the_list_of_commands_waits_for_no_engine_no_layer_and_no_command() -> None:
    code = (
        "import sys, main\n"
        "try: main.main(['--help'])\n"
        "except SystemExit: print(*(one for one in sys.modules if one.split('.')[0] in ('src', '_duckdb', 'loguru')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[1] for name in ran.stdout.splitlines()[-1].split() if name != "src"}
    assert loaded == {"author", "commands", "console", "errors", "permissions", "settings", "stopping", "store"}
    assert not [name for name in ran.stdout.splitlines()[-1].split() if name.startswith("src.commands.")]


def test_help_names_every_command() -> None:
    shown = typed("--help")
    assert shown.returncode == 0
    assert re.findall(r"^    ([a-z-]+)(?: |$)", shown.stdout, re.M) == commands.names()


def test_a_command_that_is_none_is_refused_with_those_there_are() -> None:
    refused = typed("vacum")
    assert refused.returncode == 2
    assert all(name in refused.stderr for name in commands.names())


def test_a_command_imports_no_other(lake: Lake) -> None:
    code = (
        "import sys, main; main.main(['plan']); "
        "print(*(name for name in sys.modules if name.startswith('src.commands.')), file=sys.stderr)"
    )
    environ = os.environ | {"PROJECT_DIR": str(shop(lake).root)}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ran.stderr.split() == ["src.commands.plan"]


# Of what a run with nothing new must not wait for: the engine, monitors, readers of single formats, asyncio, ...
UNUSED = {
    *("src.bronze.appending", "src.bronze.readers", "src.bronze.archives", "src.silver.merge", "src.gold.build"),
    *("src.checks.audits", "src.masking", "src.forget.certificates", "src.engine.functions", "zipfile", "zoneinfo"),
    *("src.monitors", "src.proof.proving", "src.proof.columns", "src.masking.resolving", "src.bronze.workbooks"),
    *("src.landing", "src.alerts", "asyncio", "duckdb", "_duckdb", "polars", "pyarrow", "yaml", "pydantic", "rich"),
}

# Of it what a query waits for: whose values are masked, and what its text is made of.
LOOKED_UP = {"_duckdb", "src.proof.columns", "src.masking", "src.masking.resolving"}
LOOKED_UP |= {"src.engine.functions", "src.checks.audits"}


def test_a_run_with_nothing_new_loads_nothing_but_what_looks_for_news(lake: Lake) -> None:
    shop(lake)
    lake.write("silver/shop/returns.yaml", CONTRACT.replace("orders", "returns"))  # so that steps go side by side
    lake.land("shop/returns/1.csv", "order_id,day,amount,updated\n1,2024-01-02,10,1\n")
    lake.land("shop/orders/bad.csv", "<html>")
    assert lake.command("run") != 0
    (lake.data / "landing/shop/orders/bad.csv").unlink()
    assert lake.command("run") == 0  # there was an incident, which is over
    for name in ("bronze/shop/orders", "ops/alerts"):
        DeltaTable(lake.data / name).create_checkpoint()  # as every tenth commit does
    environ = os.environ | {"PROJECT_DIR": str(lake.root), "SETTLE_SECONDS": "0"}
    code = "import sys, main; main.main(['run']); print(*sys.modules)"
    for _ in range(2):  # what the first one reads, the next one knows
        lake.command("query", "SELECT * FROM gold.shop.daily")  # which the run adds to ops.access
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert "(0 changed" in ran.stdout
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert {"src.bronze.ingest", "src.silver.clean", "src.gold.aggregate"} <= loaded
    assert sorted(loaded & UNUSED) == []


def test_a_query_loads_neither_the_delta_library_nor_what_a_run_is(lake: Lake) -> None:
    shop(lake).good()
    for path in lake.data.rglob("_delta_log/*"):
        path.touch()  # as in a lake that was copied, of which nothing is known any more
    environ = os.environ | {"PROJECT_DIR": str(lake.root), "SETTLE_SECONDS": "0"}
    subprocess.run([sys.executable, "main.py", "run"], cwd=ROOT, env=environ, capture_output=True, check=True)
    code = "import sys, main; main.main(['query', 'SELECT day, amount FROM gold.shop.daily']); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    *_, shown, loaded = ran.stdout.splitlines()
    assert shown.split() == ["2024-01-01", "10.00"]
    assert sorted(set(loaded.split()) & (UNUSED - LOOKED_UP)) == []
    assert not {"deltalake", "loguru", "src.run.runs"} & set(loaded.split())


def test_main_shows_the_blocking_sequence_and_little_else() -> None:
    text = (ROOT / "main.py").read_text(encoding="utf-8")
    layers = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    imported = {f"{node.module}.{name.name}" for node in layers for name in node.names}
    assert {"src.bronze.ingest", "src.silver.clean", "src.run.gold_step"} <= imported
    assert re.findall(r"\b(ingest|clean|gold_step)\.(?:run|build)\(", text) == ["ingest", "clean", "gold_step"]
    assert len(text.splitlines()) <= 150


# -- the project's folder


@pytest.mark.parametrize("place", ["before", "after", "equals", "environment"])
def test_a_project_is_named_before_or_after_the_command_or_by_the_environment(
    lake: Lake, tmp_path: Path, place: str
) -> None:
    shop(lake)
    words = {
        "before": ("--project", str(lake.root), "run"),
        "after": ("run", "--project", str(lake.root)),
        "equals": (f"--project={lake.root}",),
        "environment": (),
    }[place]
    environ = {"PROJECT_DIR": str(lake.root)} if place == "environment" else {}
    ran = typed(*words, cwd=Path("/"), **environ)
    assert ran.returncode == 0, ran.stderr
    assert lake.rows("SELECT orders FROM gold.shop.daily") == [(1,)]
    assert (lake.root / "logs/app.log").is_file()


def test_the_option_wins_over_the_environment(lake: Lake, tmp_path: Path) -> None:
    ran = typed("run", "--project", str(shop(lake).root), PROJECT_DIR=str(tmp_path / "other"))
    assert ran.returncode == 0, ran.stderr


def test_settings_contracts_and_backups_are_those_of_the_project(lake: Lake, tmp_path: Path) -> None:
    shop(lake)
    (lake.root / ".env").write_text("DATA_DIR=lake\nBACKUP_REMOTE=copies\n")
    (lake.root / "data").rename(lake.root / "lake")
    assert typed("run", "--project", str(lake.root), cwd=Path("/")).returncode == 0
    assert typed("backup", "--project", str(lake.root), cwd=Path("/")).returncode == 0
    assert typed("docs", "--project", str(lake.root), cwd=Path("/")).returncode == 0
    assert (lake.root / "lake/gold/shop/daily/_delta_log").is_dir()
    assert (lake.root / "copies/manifests").is_dir()
    assert (lake.root / "src/gold/shop/README.md").is_file()
    assert not (lake.root / "data").exists()


def test_a_project_that_is_not_there_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    ran = typed("status", "--project", str(tmp_path / "nowhere"))
    assert ran.returncode == 2
    assert f"where: --project {tmp_path / 'nowhere'}" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_stands_after_two_dashes_is_no_option_of_the_project(lake: Lake) -> None:
    ran = typed("query", "--project", str(lake.root), "--format", "json", "--", "SELECT '--project' AS word")
    assert json.loads(ran.stdout) == [{"word": "--project"}], ran.stderr


# -- no second door


def test_every_module_that_was_called_moves_to_its_command() -> None:
    ends = {name: (ROOT / f"src/maintenance/{name.replace('-', '_')}.py").read_text("utf-8") for name in MOVED}
    other = [name for name, text in ends.items() if not text.endswith(f'__main__":\n    moved.to("{name}")\n')]
    assert other == []


@pytest.mark.parametrize("name", short(MOVED, 1))
def test_the_old_call_of_a_module_says_what_to_type_and_does_the_same(name: str) -> None:
    words = ["daily", "--help"] if name == "jobs" else ["--help"]
    module = f"src.maintenance.{name.replace('-', '_')}"
    old = subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, capture_output=True, text=True)
    new = typed(name, *words)
    assert (old.returncode, old.stdout) == (new.returncode, new.stdout)
    assert old.stderr.startswith("note: this command is now: ") and f"main.py {name} " in old.stderr
    assert len(old.stderr.splitlines()) == 1


def test_the_old_call_of_a_module_ends_with_the_exit_code_of_the_command(lake: Lake) -> None:
    shop(lake)
    environ = os.environ | {"PROJECT_DIR": str(lake.root)}
    command = [sys.executable, "-m", "src.maintenance.vacuum", "--retention-hours", "0"]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "a retention of 0 hours" in ran.stderr


# -- what a command shows, as data

# Every command that shows something, as typed on a small lake; its exit code there.
ORDERS = ("--table", "silver.shop.orders")
SHOWN = {
    "access": ((), 0),
    "alerts": (("list",), 0),
    "backfill": ((*ORDERS, "--start", "2024-01-01", "--dry-run"), 0),
    "backup": (("--dry-run",), 0),
    "branch": (("create", "tax"), 0),
    "cost": ((), 0),
    "describe": (("orders",), 0),
    "check": ((), 0),
    "checklist": (("afternoon",), 0),
    "draft": (("data/landing/shop/orders/1.csv", "--stdout"), 0),
    "diff": ((), 0),
    "explain": (("gold.shop.daily", "--where", "true"), 0),
    "forget": (("--list",), 0),
    "health": ((), 1),
    "incident": ((), 0),
    "inspect": ((), 0),
    "models": ((), 0),
    "optimize": (("--dry-run",), 0),
    "plan": ((), 0),
    "preview": (("orders",), 0),
    "quarantine": (("list",), 0),
    "pull": (("--dry-run",), 0),
    "query": (("SELECT * FROM silver.shop.orders",), 0),
    "report": ((), 0),
    "rebuild": ((*ORDERS, "--dry-run"), 0),
    "rotate-logs": (("--dry-run",), 0),
    "run": ((), 0),
    "schedule": ((), 0),
    "schema-version": ((), 0),
    "sources": ((), 0),
    "status": ((), 0),
    "tables": ((), 0),
    "test": ((), 0),
    "train": (("--dry-run",), 0),
    "upgrade": (("--dry-run",), 0),
    "vacuum": (("--dry-run",), 0),
}
# Those that need a backup, a release to go back to, an empty folder, or a contract of elsewhere.
SHOWN_LATER = {"adopt", "init", "drill", "repair", "restore", "rollback"}
# Those that only do something, and say that they did.
SILENT = {"confirm", "docs", "jobs", "page"}


def test_every_command_is_in_the_page_of_commands() -> None:
    rows = re.findall(r"^\| `([a-z-]+)", COMMANDS, re.M)
    assert sorted(set(rows)) == commands.names()


def test_every_command_that_shows_something_shows_it_as_data() -> None:
    able = set()
    for name in commands.names():
        parser = ArgumentParser()
        commands.module(name).arguments(parser)
        able |= {name} if "--json" in parser.format_help() else set()
    assert able == set(commands.names()) - SILENT
    assert able == set(SHOWN) | SHOWN_LATER


@pytest.mark.parametrize("name", short(SHOWN, 8))
def test_with_json_standard_output_is_one_document(lake: Lake, name: str) -> None:
    shop(lake).run()
    words, code = SHOWN[name]
    if name == "test":  # it asks that READMEs are rendered
        assert typed("docs", "--project", str(lake.root)).returncode == 0
    ran = typed(name, "--json", "--project", str(lake.root), *words)
    assert ran.returncode == code, ran.stderr
    found = json.loads(ran.stdout)
    shown = found if isinstance(found, dict) else found[0] if found else {}
    verb = words[0] if name in ("alerts", "branch", "quarantine") else ""
    rows = [line for line in COMMANDS.splitlines() if line.startswith(f"| `{name} {verb}".rstrip())]
    row = min(rows, key=lambda line: line.index("`", 3))  # others say what it shows with a flag
    if name != "query":  # its fields are those of the statement
        assert {field for field in shown if f"`{field}`" not in row.split(" | ")[2]} == set()


def test_with_json_what_was_done_is_one_document(lake: Lake) -> None:
    release = shop(lake).good().run_id

    def done(name: str, *words: str) -> Any:
        ran = typed(name, "--json", "--project", str(lake.root), *words)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    backup = done("backup")
    assert (backup["release"], backup["verified"]) == (release, True)
    assert {table["table"]: table["rows"] for table in backup["tables"]}["silver.shop.orders"] == 1
    drill = done("drill")
    assert (drill["backup"], drill["drilled"], drill["damage"]) == (backup["backup"], True, [])
    assert done("repair") == {"backup": backup["backup"], "repaired": False, "files": [], "lost": []}
    restored = done("restore", "--to", str(lake.root / "other"))
    assert (restored["target"], restored["restored"]) == (str(lake.root / "other"), True)
    lake.land("shop/orders/2.csv", HEADER + "3,2024-01-03,10,1\n")
    assert [step["table"] for step in done("run")["steps"] if step["inserted"]] == ["orders", "orders", "daily"]
    back = done("rollback", "--to", release)
    assert (back["release"], back["restored"]) == (release, True)
    assert {step["table"]: step["back"] for step in back["tables"]}["silver.shop.orders"] == 1
    assert done("optimize")["rewritten"] == []
    assert done("vacuum")["removed"] is True
    assert done("backfill", *ORDERS, "--start", "2024-01-01")["run"]["status"] == "success"
    assert done("rebuild", *ORDERS)["run"]["status"] == "success"
    assert done("quarantine", "show", *ORDERS)[0]["reasons"] == ["amount: cannot read x as decimal(18,2)"]
    waived = done("quarantine", "waive", *ORDERS, "--reason", "known", "--until", "2999-01-01")
    assert waived == {"table": "silver.shop.orders", "until": "2999-01-01", "rows": 1}
    assert done("schema-version", "verify") == []
    assert "Makefile" in done("init", str(lake.root / "fresh"))["files"]


def test_numbers_days_and_names_are_plain_values_in_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Found("a", Decimal("1.50"), date(2024, 1, 2), Path("x/y")), {"z": (float("nan"), -math.inf, 2, None)}]
    console.print_json(found)
    assert json.loads(capsys.readouterr().out) == [
        {"name": "a", "amount": 1.5, "day": "2024-01-02", "path": "x/y"},
        {"z": ["NaN", "-Infinity", 2, None]},
    ]


def test_what_is_printed_beside_a_document_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with console.unfailing(), console.data_alone():
        print("a note")
        console.print_json([1])
    assert capsys.readouterr() == ("[\n 1\n]\n", "a note\n")
