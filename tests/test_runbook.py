"""What the runbook tells a person to type is typed, in its order, on the lake of the sample company, all of it.

Each ```sh block is one shell. A command is expected to succeed, or to end as its comment `# exits N` says: with the
code of Boathouse, which make shows as `Error N` while it ends with 2 itself. What must have gone wrong before a block
makes sense goes wrong in `BEFORE`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from clone import ROOT, bash, copy_project, write
from conftest import needs_sample

from src import errors, problems
from src.commands import names
from src.demo import sales

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", RUNBOOK, flags=re.MULTILINE | re.DOTALL)
DEVELOPMENT = {
    "help",
    "docs",
    "new",
    "wheel",
    "proof",
    "test",
    "lint",
    "format",
    "torture",
    "bench",
    "clean",
}  # targets of who changes Boathouse
PERSON = "17850"
CRONTAB = """#!/bin/sh
table="$(dirname "$0")/crontab.txt"
case $1 in
-l) cat "$table" 2>/dev/null || { echo "no crontab for you" >&2; exit 1; } ;;
-r) rm "$table" ;;
-) cat >"$table" ;;
esac
"""
HOLDER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from src.run import lock

with lock.lock_lake(Path("data"), command="make pipeline", run_id="20260601T020000000-abc123", now=datetime.now(UTC)):
    print("held", flush=True)
    time.sleep(60)
"""
EACH = """
wait
{{ {command}
}} >{out} 2>{err} </dev/null
echo $? >{code}
"""
SERVER = """
wait
timeout 60 {command} >{out} 2>{err} </dev/null &
until grep -q key= {out} || ! kill -0 $!; do sleep 0.1; done
kill $! && wait $!
grep -q key= {out}; echo $? >{code}
"""
QUERY = """
{{ {command} >{out} 2>{err} </dev/null
echo $? >{code}; }} &
"""


@dataclass(frozen=True)
class Block:
    """One ```sh of the runbook: the heading it stands under, and its commands."""

    heading: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its commands, each whole: lines are joined until the shell can read them."""
        found, begun = [], ""
        for line in self.text.splitlines():
            begun += line
            if subprocess.run(["bash", "-nc", begun], capture_output=True, check=False).returncode == 0:
                found.append(begun)
                begun = ""
            else:
                begun += "\n"
        assert not begun, f"never ends: {begun}"
        return found


def blocks() -> list[Block]:
    found, heading = [], ""
    for title, text in re.findall(r"^#+ ([^\n]+)$|^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL):
        heading = title or heading
        if text:
            found.append(Block(heading, text))
    return found


@dataclass(frozen=True)
class Done:
    """One command that was typed: what it printed and how it ended, Boathouse's own code behind that of make."""

    heading: str
    command: str
    code: int
    out: str
    err: str

    @property
    def expected(self) -> int:
        said = re.search(r"# exits (\d+)$", self.command)
        return int(said[1]) if said else 0


@dataclass
class Site:
    """A project in which the runbook is done."""

    root: Path
    done: list[Done] = field(default_factory=list)

    def do(self, block: Block) -> None:
        folder = self.root.parent / "done" / str(len(self.done))
        folder.mkdir(parents=True)
        places = [
            {"command": command, **{name: f"{folder}/{number}.{name}" for name in ("out", "err", "code")}}
            for number, command in enumerate(block.commands)
        ]
        lines = [shell_of(place["command"]).format(**place) for place in places]
        bash(self.root, "\n".join(["set +e", *lines, "wait"]), **self.environ)
        for place in places:
            out, err, code = (Path(place[name]).read_text(encoding="utf-8") for name in ("out", "err", "code"))
            made = re.search(r"^make: \*\*\* .*\bError (\d+)$", err, re.MULTILINE)
            shown = int(made[1]) if made and int(code) == 2 else int(code)
            self.done.append(Done(block.heading, place["command"], shown, out, err))
            assert shown == self.done[-1].expected, (
                f"{block.heading}: {place['command']}\nends with {shown}\n{out}{err}"
            )

    def need(self, script: str) -> None:
        done = bash(self.root, script, **self.environ)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    @property
    def environ(self) -> dict[str, str]:
        return {"SETTLE_SECONDS": "0", "EDITOR": "true"}

    @property
    def landing(self) -> Path:
        return self.root / "data" / "landing" / "sales" / "order_lines"

    def printed(self, heading: str, start: str) -> list[str]:
        """What the commands under a heading that start so have printed."""
        return [done.out for done in self.done if done.heading == heading and done.command.startswith(start)]


def shell_of(command: str) -> str:
    """What the shell does with a command: what only reads may be done at once, and half of them are queries."""
    if command.startswith("make page"):  # which does not end by itself
        return SERVER
    return QUERY if command.startswith("make query") else EACH


# -- what must have happened before


def a_lake_with_a_past(site: Site) -> None:
    """A week of the sample company, rows of today, a person in it; an incident that is over, two releases, a backup.

    The week is always the same: of other files the monitors may find something on one day and not on another.
    """
    *_, newest = sales.land(site.root / "data" / "landing", days=5, last=date(2025, 3, 14), seed=7)
    now = datetime.now(UTC)
    later = newest.rename(site.root / newest.name)
    write(site.root / ".env", "SAMPLE_FEED=false\n").chmod(0o600)
    write(site.root.parent / "crontab", CRONTAB).chmod(0o755)
    a_file_that_cannot_be_taken(site)
    assert bash(site.root, "make pipeline", **site.environ).returncode == 2
    (site.landing / "broken.csv").unlink()
    site.need("make pipeline")
    yesterday = now - timedelta(days=1)
    lines = [f"990001,71053,LANTERN,6,{day:%Y-%m-%d %H:%M}:00,3.39,12583.0,Norway" for day in (yesterday, now)]
    lines += [f"990002,71053,LANTERN,{count},{now:%Y-%m-%d} 00:00:00,3.39,{PERSON}.0,France" for count in (1, 2, "two")]
    lines += [f"990003,71053,LANTERN,1,{now:%Y-%m-%d} 00:00:00,3.39,{PERSON}.0,France,too,many"]
    write(newest, later.read_text(encoding="utf-8") + "\n".join([*lines, ""]))
    later.unlink()
    site.need("make pipeline; make backup; .venv/bin/python main.py jobs hourly")


def a_file_that_cannot_be_taken(site: Site) -> None:
    write(site.landing / "broken.csv", "InvoiceNo;StockCode\n990004;71053\n")


def a_source_that_fails(site: Site) -> None:
    a_file_that_cannot_be_taken(site)
    assert bash(site.root, "make pipeline", **site.environ).returncode == 2


def a_bit_of_bronze_and_files_of_gold_cut_short(site: Site) -> None:
    site.need("make backup")
    file = next((site.root / "data/bronze/sales/order_lines").glob("*.parquet"))
    rotten = bytearray(file.read_bytes())
    rotten[len(rotten) // 3] ^= 1
    file.write_bytes(rotten)
    for file in (site.root / "data/gold/sales/daily_revenue").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:10])


def somebody_who_holds_the_lake(site: Site) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=site.root, stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    threading.Thread(target=holder.communicate, daemon=True).start()  # whoever ends it is not its parent


def a_landed_file_that_is_gone(site: Site) -> None:
    sorted(site.landing.glob("2*.csv"))[0].unlink()


def a_repository_and_one_place_for_backups(site: Site) -> None:
    with (site.root / ".env").open("a", encoding="utf-8") as env:
        env.write(f"BACKUP_REMOTE={site.root}/backups\n")
    site.need("""
        git init --quiet --initial-branch main
        git add --all
        git -c user.name=boathouse -c user.email=boathouse@example.com commit --quiet --message "As it is"
        git clone --quiet --bare . ../origin.git
        git remote add origin "$(realpath ../origin.git)"
        git fetch --quiet origin
        git branch --quiet --set-upstream-to origin/main
    """)


BEFORE: dict[str, Callable[[Site], None]] = {
    "Every day": a_lake_with_a_past,
    "How urgent": a_source_that_fails,
    "A damaged table": a_bit_of_bronze_and_files_of_gold_cut_short,
    "The lake is held": somebody_who_holds_the_lake,
    "A person's data": a_landed_file_that_is_gone,
    "A new machine": a_repository_and_one_place_for_backups,
}


# -- the laws


@needs_sample  # its commands are typed in the sample company's project
@pytest.mark.long  # the pages in tests/sample type most of the commands too
def test_what_the_runbook_shows_is_what_happens(tmp_path: Path) -> None:
    # one test, not one for each sentence: several workers would each do all of it again
    site = done_as_shown(tmp_path / "boathouse")
    every_command_was_run(site)
    what_is_to_be_seen_is_there(site)
    rows_that_a_fixed_contract_lets_pass_left_quarantine(site)
    the_person_is_gone_and_nobody_else(site)


def done_as_shown(root: Path) -> Site:
    """A project in which every command of the runbook was typed, and each ended as it says."""
    site = Site(root)
    copy_project(site.root)
    bash(site.root, "./setup.sh --quiet")
    waiting = dict(BEFORE)
    for block in blocks():
        if block.heading in waiting:
            waiting.pop(block.heading)(site)
        site.do(block)
    assert not waiting, f"no block under {', '.join(waiting)}"
    return site


def every_command_was_run(site: Site) -> None:
    shown = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert "".join(f"{done.command}\n" for done in site.done) == "".join(shown)
    assert len(site.done) > 100


def what_is_to_be_seen_is_there(site: Site) -> None:
    assert site.printed("Every day", "make status")[0].startswith("fine")
    assert "source bronze.sales.order_lines" in site.printed("How urgent", "make alerts")[0]
    assert "broken.csv" in site.printed("source", "make query")[0]
    assert "repaired from backup" in site.printed("A damaged table", "make repair")[1]
    assert "changed" in site.printed("A damaged table", "make pipeline")[0]
    assert "20260601T020000000-abc123" in site.printed("The lake is held", "make query")[0]
    assert "restored backup" in site.printed("A new machine", "make restore")[0]
    assert [text.count("jobs daily") for text in site.printed("Schedule", "make schedule")] == [1, 0, 0, 2, 1]


def rows_that_a_fixed_contract_lets_pass_left_quarantine(site: Site) -> None:
    said = site.printed("Rows in quarantine", ".venv/bin/python main.py quarantine replay")[0]
    counts = re.search(r"(\d+) rows were in quarantine, (\d+) are", said)
    assert counts and int(counts[1]) > int(counts[2]) > 0


def the_person_is_gone_and_nobody_else(site: Site) -> None:
    where, after = site.printed("A person's data", "make query")[:2]
    assert [line.split()[-1] for line in where.splitlines()[2:]] == ["4"]
    assert after.split()[-1] == "0"
    found = site.printed("A person's data", "make forget")
    assert "dry run: nothing was changed" in found[0]
    assert "request 2026-114" in found[1]


# -- nothing is forgotten


def test_every_command_is_in_the_runbook() -> None:
    commands = "\n".join(block.text for block in blocks())
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    missing = {name for name in targets - DEVELOPMENT if not re.search(rf"\bmake (--silent )?{name}\b", commands)}
    assert missing == set()
    shown = {name for name in names() if re.search(rf"main\.py {name}\b|\bmake (--silent )?{name}\b", commands)}
    assert set(names()) - shown - {"run", "docs", "init"} == set()
    assert {verb for verb in ("list", "show", "replay", "waive") if f"quarantine {verb}" not in commands} == set()


def test_every_command_that_the_text_names_is_shown_in_a_block() -> None:
    commands = "\n".join(block.text for block in blocks())
    named = set(re.findall(r"`(?:[A-Z_]+=\w+ )?make ([a-z-]+)", PROSE))
    assert named and {name for name in named if not re.search(rf"\bmake (--silent )?{name}\b", commands)} == set()


def test_every_class_and_kind_of_incident_is_in_the_runbook() -> None:
    assert {name for name in problems.CLASSES if not re.search(rf"^\| {name} \|", PROSE, re.MULTILINE)} == set()
    sections = set(re.findall(r"^### (.+)$", PROSE.partition("## What kind")[2].partition("\n## ")[0], re.MULTILINE))
    assert kinds() == sections


def kinds() -> set[str]:
    """The kinds that src/problems.py names, and those that the code makes."""
    said = re.search(r"kind: str  # (.+)$", Path(problems.__file__).read_text(encoding="utf-8"), re.MULTILINE)
    assert said
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    made = {kind for text in texts for kind in re.findall(r'Problem\(\s*"(\w+)"', text)}
    for text in texts:  # those of a constant
        names = {
            name: value
            for line, values in re.findall(r"^([A-Z_, ]+) = (.*)$", text, re.MULTILINE)
            for name, value in zip(re.findall(r"\w+", line), re.findall(r'"(\w+)"', values), strict=False)
        }
        made |= {names[name] for name in re.findall(r"Problem\(\s*([A-Z_]+),", text) if name in names}
    assert len(made) > 5
    return made | set(re.findall(r"\w+", said[1]))


def test_every_exit_code_and_error_is_in_the_runbook() -> None:
    rows = {tuple(row) for row in re.findall(r"^\| (\d+) \| ([\w ]+?) \| (?:`(\w+)`)? ?\|", PROSE, re.MULTILINE)}
    names = {cls.exit_code: cls.__name__ for cls in errors.BoathouseError.__subclasses__()}
    assert rows == {(str(code), name, names.get(code, "")) for code, name in errors.exit_codes().items()}


def test_every_link_of_the_runbook_leads_somewhere() -> None:
    slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PROSE, re.M)}
    links = re.findall(r"\]\(([^)]+)\)", PROSE)
    inside = {link[1:] for link in links if link.startswith("#")}
    assert inside and inside - slugs == set()
    outside = {link.partition("#")[0] for link in links if not link.startswith("#")}
    assert [link for link in outside if not (ROOT / "docs" / link).is_file()] == []
