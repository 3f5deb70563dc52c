"""What the README shows is done, in its order, in a copy of the project; what it says is printed is printed."""

from __future__ import annotations

import re
from pathlib import Path

import polars
import pytest
from clone import ROOT, Shown, blocks, done_as_shown, write

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks(README)
NOT_RUN = "make test"  # it is what runs this
UPKEEP = ("schedule", "backup", "drill", "optimize", "vacuum", "health", "report", "train", "models", "access", "cost")


def shape(text: str) -> str:
    """Text without its figures and what follows from their width."""
    return " ".join(re.sub(r"[\d.,]+|-+", " ", text).split())


def test_the_two_commands_are_on_the_first_screen() -> None:
    kind, text = BLOCKS[0]
    assert kind == "sh"
    assert [line.split("  ")[0] for line in text.splitlines()] == ["make pipeline", "make test"]
    assert README[: README.index(text)].count("\n") < 15


@pytest.mark.parametrize("upkeep", [False, pytest.param(True, marks=pytest.mark.long)])
def test_what_the_readme_shows_is_what_happens(tmp_path: Path, upkeep: bool) -> None:
    """All of it, or all but the commands that keep a lake up, of which make then says what it would run."""
    # one test, not one for each sentence: several workers would each do all of it again
    leave = [f"make {target}" for target in (() if upkeep else UPKEEP)]
    shown = done_as_shown(tmp_path / "boathouse", BLOCKS, [NOT_RUN, *leave], environ={"SAMPLE_DAYS": "2"})
    first_run = next(text for kind, text in BLOCKS if not kind)
    told = [re.escape(shape(part)) for part in first_run.split("...\n")]  # where dots stand, lines are left out
    assert re.fullmatch(" .* ".join(told), shape(shown.printed[0]))
    assert shown.kept() == 4
    the_source_and_the_mart_are_built(shown.root)
    every_path_of_the_layout_is_there(shown.root)
    a_refusal_reads_as_shown(shown)
    for target in UPKEEP:
        assert f"main.py {target}" in shown.run(f"make --dry-run {target}").stdout


def the_source_and_the_mart_are_built(root: Path) -> None:
    silver = polars.read_delta(str(root / "data/silver/rentals/trips")).sort("trip_id")
    assert silver.select("trip_id", "boat", "hours").rows() == [(1, "Otter", 3), (2, "Heron", 1)]
    gold = polars.read_delta(str(root / "data/gold/rentals/daily_takings"))
    assert [(str(day), trips, str(takings)) for day, trips, takings in gold.rows()] == [("2026-06-01", 2, "51.00")]
    assert "What the boats earned" in (root / "src/gold/rentals/README.md").read_text(encoding="utf-8")


def every_path_of_the_layout_is_there(root: Path) -> None:
    layout = next(text for _, text in BLOCKS if text.startswith("main.py"))
    assert [line.split()[0] for line in layout.splitlines() if not (root / line.split()[0]).exists()] == []


def a_refusal_reads_as_shown(shown: Shown) -> None:
    text = next(text for _, text in BLOCKS if "where:" in text)
    header = re.search(r'1 column "(.*?)"', text)
    assert header
    write(shown.root / "data/landing/rentals/trips/july.csv", f"{header[1]}\n")
    done = shown.run("make pipeline DOMAIN=rentals")
    assert done.returncode == 2
    assert text.partition(" ERROR ")[2] in shown.short(done.stderr)


def test_every_command_the_readme_names_is_in_the_makefile() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", README))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets, f"no such target: {named - targets}"
