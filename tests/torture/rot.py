"""Rot: files of a lake or of its backup are harmed, then a person does what the runbook says; nothing wrong ends green.

A scene is a random shop with a backup, some harm, perhaps a clock that jumps. After check, repair, putting aside,
restore and run, either every table is what the oracle says, or a command said what is wrong and did not end well.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import main
from src import catalog, lake
from src.commands.run import pipeline
from src.errors import BoathouseError
from src.maintenance import archive, backup, check, drill, repair, restore
from src.remote import Remote
from src.run import releases, runs
from torture import histories, oracle
from torture.histories import Difference, Shop, Sum, Tools, clock
from torture.shelf import Shelf

HARMS = ("flip", "flip", "flip", "zero", "truncate", "empty", "lose", "swap", "link", "append")
PLACES = ("bronze", "silver", "gold", "quarantine", "ops", "log", "log", "log", "any", "objects", "manifests", "table")
_BASES = 8  # shops that scenes are copies of


@dataclass(frozen=True)
class Harm:
    """What was done to which file, relative to the scene's folder."""

    kind: str
    path: str
    at: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.path} at {self.at}"


@dataclass
class Scene:
    """A shop and its backup, what was harmed, and what the commands said."""

    shop: Shop
    home: Path  # where things are put aside
    said: list[str] = field(default_factory=list)
    content: bool = False  # in the end every command was

    @property
    def remote(self) -> Remote:
        return Shelf(str(self.shop.root / "backups"))

    def attempt(self, what: str, work: Callable[[], Any]) -> bool:
        """Whether a command ended well; what it said where it did not. Anything but a failure of ours is a crash."""
        try:
            found = work()
        except BoathouseError as error:
            self.said.append(f"{what}: {error.exit_code}: {error.what.splitlines()[0]}")
            return False
        except Exception as error:
            raise Difference(f"{what} crashes: {type(error).__name__}: {error}") from error
        if found:
            self.said.append(f"{what}: {found}")
        return not found


# -- a shop with a backup


def base(tools: Tools, root: Path, seed: int) -> Shop:
    """A random shop that has one or two backups, and often rows that are younger than these."""
    random = Random(seed)
    past = [histories.operation(random) for _ in range(random.randint(1, 5))]
    past = [done for done in past if done[0] not in ("crash", "vacuum", "clock", "back up", "restore")]
    told = histories.History(random.choice(oracle.FAMILIES), (("run",), *past, ("run",)))
    shop = histories.live(tools, root, told, end=True)
    if random.random() < 0.5:  # logs with a checkpoint, as they are after ten commits
        for name in catalog.tables(shop.data):
            histories.act(shop, ("checkpoint", name.replace(".", "/")))
    back_up(shop)
    if random.random() < 0.4:
        shop.land("m.csv", histories.text(random) + "8,2024-01-02,1,1\n")
        histories.run(shop)
        back_up(shop)
    if random.random() < 0.5:
        shop.land("y.csv", histories.text(random) + "9,2024-01-03,1,1\n")
        histories.run(shop)
    return shop


def back_up(shop: Shop) -> None:
    project = shop.project()
    backup.run(project.engine, project.settings, Shelf(str(shop.root / "backups")), runs.now)


# -- harm


def harm(random: Random, root: Path) -> Harm | None:
    """Harm one file; returns what was done, None where there is nothing of the kind."""
    kind, files = random.choice(HARMS), sorted(_files(root, random.choice(PLACES)))
    if not files:
        return None
    path = random.choice(files)
    if path.is_dir():
        shutil.rmtree(path)
        return Harm("lose", str(path.relative_to(root)))
    size = path.stat().st_size
    at = random.randrange(size) if size else 0
    if kind == "lose" or not size:
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncate":
        os.truncate(path, at)
    elif kind == "append":
        path.write_bytes(path.read_bytes() + b"\0" * 7)
    elif kind == "swap":
        other = random.choice([file for file in files if file.suffix == path.suffix])
        mine, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(mine)
    elif kind == "link":
        moved = root / "elsewhere" / f"{at}-{path.name}"
        moved.parent.mkdir(exist_ok=True)
        shutil.move(path, moved)
        path.symlink_to(moved)
    else:
        content = bytearray(path.read_bytes())
        content[at : at + (1 if kind == "flip" else 64)] = (
            bytes([content[at] ^ (1 << random.randrange(8))]) if kind == "flip" else bytes(len(content[at : at + 64]))
        )
        path.write_bytes(content)
    return Harm(kind, str(path.relative_to(root)), at)


def _files(root: Path, where: str) -> Iterator[Path]:
    """The files of a kind; those of tables alone that readers may need."""
    if where in ("objects", "manifests"):
        folder = root / "backups" / ("manifests" if where == "manifests" else "files")
        yield from (path for path in folder.rglob("*") if path.is_file())
        return
    tables = catalog.tables(root / "data")
    if where == "table":
        yield from tables.values()
        return
    for name, table in tables.items():
        if where in ("any", "log") or name.startswith(f"{where}."):
            for path in table.rglob("*"):
                if path.is_file() and (where != "log" or "_delta_log" in path.parts):
                    yield path


# -- what a person does


def by_the_book(scene: Scene, random: Random) -> bool:
    """Do what the runbook says; whether in the end every command was content."""
    if random.random() < 0.5:  # nobody looked yet
        scene.attempt("run", partial(_run, scene))
    clean, lost = scene.attempt("check", partial(_check, scene)), False
    if not clean:
        scene.attempt("repair", partial(_repair, scene))
        lost = any(line.startswith("repair: ") and "bronze." in line for line in scene.said)
        clean = scene.attempt("check", partial(_check, scene)) and not lost
    if not clean and not lost:
        _put_aside(scene, ("gold",))
        scene.attempt("run", partial(_run, scene))
        clean = scene.attempt("check", partial(_check, scene))
    if not clean and not lost:
        _put_aside(scene, ("silver", "quarantine", "deletions", "statements", "gold"))
        scene.attempt("run", partial(_run, scene))
        clean = scene.attempt("check", partial(_check, scene))
    if not clean and _put_records_aside(scene):
        clean = scene.attempt("check", partial(_check, scene)) and not lost
    if not clean:
        scene.attempt("drill", partial(_drill, scene))
        scene.attempt("restore", partial(_restore, scene))
    content = scene.attempt("run", partial(_run, scene))
    content &= scene.attempt("check", partial(_check, scene))
    content &= scene.attempt("backup", partial(back_up, scene.shop))
    content &= scene.attempt("drill", partial(_drill, scene))
    return content


def _run(scene: Scene) -> str:
    done = pipeline(scene.shop.project(), main.carry)
    return "; ".join(f"{name}: {_first_line(error)}" for name, error in done.failures.items())


def _check(scene: Scene) -> str:
    project = scene.shop.project()
    manifest = archive.newest(scene.remote)
    copy = check.NewestBackup(scene.remote, manifest) if manifest else None
    found = check.run(project.engine, scene.shop.data, project.contracts, project.marts, copy)
    return "; ".join(f"{one.table}: {one.law}: {one.found}" for one in found)


def _repair(scene: Scene) -> str:
    project, manifest = scene.shop.project(), archive.newest(scene.remote)
    if manifest is None:
        return "no backup"
    planned = repair.plan(project, scene.remote, manifest)
    if not planned.idle:
        planned = repair.execute(project, scene.remote, manifest, planned, runs.now)
    return "; ".join(f"{table}: {what}" for table, what in planned.lost)


def _drill(scene: Scene) -> str:
    project = scene.shop.project()
    damage = drill.run(project.engine, scene.shop.data, scene.remote, None, runs.now).damage
    return "; ".join(map(str, damage))


def _put_aside(scene: Scene, layers: Collection[str]) -> None:
    for layer in layers:
        shutil.rmtree(scene.shop.data / layer, ignore_errors=True)


def _put_records_aside(scene: Scene) -> bool:
    """Put the damaged tables of records aside; whether there were any."""
    records = [name for name in catalog.tables(scene.shop.data) if name.startswith("ops.")]
    found = [name for name in records if f"{name}: " in scene.said[-1]]
    for name in found:
        shutil.rmtree(lake.table_path(scene.shop.data, name))
    return bool(found)


def _restore(scene: Scene) -> None:
    project, data = scene.shop.project(), scene.shop.data
    aside = scene.home / "lake"
    scene.home.mkdir(exist_ok=True)
    shutil.move(data, aside)
    data.mkdir()
    shutil.move(aside / "landing", data / "landing")
    try:
        manifest = restore.plan(scene.remote, data, None)
        restore.execute(project.engine, scene.remote, manifest, data, runs.now)
    except BoathouseError:  # then the damaged lake is still the best there is
        shutil.move(data / "landing", aside / "landing")
        shutil.rmtree(data)
        shutil.move(aside, data)
        raise


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


# -- scenes


def play(tools: Tools, staged: Shop, root: Path, seed: int) -> Scene:
    """Play one scene on a copy of a shop.

    Raises:
        Difference: every command was content, and the lake is not what the oracle says; or one crashed.
    """
    random = Random(seed)
    shutil.copytree(staged.root, root, symlinks=True)
    scene = Scene(replace(staged, root=root, released=[]), root / "aside")
    done = [one for _ in range(random.choice((1, 1, 1, 2, 3))) if (one := harm(random, root))]
    ahead = timedelta(days=random.choice((0, 0, 0, -400, 400)))
    where = f"rot {seed}: {'; '.join(map(str, done))}; clock {ahead.days} days"
    try:
        with clock(ahead):
            scene.content = by_the_book(scene, random)
        if scene.content:
            _insist(scene)
        elif not any(one.path.startswith("backups/") for one in done):
            raise Difference("is not fixed though the backup is whole")
    except Difference as error:
        raise Difference(f"{where}: {error}\n  " + "\n  ".join(line[:300] for line in scene.said)) from error
    return scene


def _insist(scene: Scene) -> None:
    """All is green: then what is stored, and what readers see, is what the oracle says."""
    shop = scene.shop
    expected = shop.expected()
    found = expected.differences(shop.stored(shop.rules))
    seen = oracle.stored(shop.tools.connection, shop.data, shop.rules, releases.newest(shop.data))
    found += [f"readers: {what}" for what in expected.differences(seen)]
    if found:
        raise Difference("ends green and wrong: " + "; ".join(found[:6]))


def rot_many(first: int, count: int, bases: int = _BASES) -> Sum:
    """Play the scenes of these seeds."""
    total = Sum()
    with histories.scratch() as (home, tools), redirect_stdout(io.StringIO()):
        shops: dict[int, Shop] = {}
        for seed in range(first, first + count):
            number = seed % bases
            try:
                if number not in shops:
                    shops[number] = base(tools, home / f"base{number}", number)
                scene = play(tools, shops[number], home / "scene", seed)
                total.rotten += 1
                total.told += bool(scene.said)
                total.fixed += scene.content
            except Exception as error:
                total.differences.append(f"{type(error).__name__}: {error}")
            finally:
                shutil.rmtree(home / "scene", ignore_errors=True)
    return total
