"""Which table a landed file belongs to: the first folder below the landing zone is its domain, the second its table."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from src import store
from src.bronze import archives
from src.contract import Seed, Source
from src.contract.documents import SEEDS
from src.contract.patterns import ARCHIVE, PACKED, FilePattern, is_archive
from src.draft.names import snake_case
from src.errors import DataError, UsageError

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".psv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xlsx",
    ".xlsb": "xlsx",
    ".ods": "xlsx",
}
_DOMAINS_TAKEN = ("bronze", "gold", "ops", "quarantine", "silver")


@dataclass(frozen=True)
class LandedTable:
    """The files of one table, in the order of their names; `landing`: the landing zone that they lie in."""

    domain: str
    table: str
    path: str  # glob below the landing zone
    format: str  # by the ending; what a JSON file holds decides between json and ndjson
    files: tuple[Path, ...]
    landing: Path
    brought_by: Source | None = None  # None: somebody landed them
    properties: Mapping[str, str] = field(default_factory=dict)  # of the table, that go with its source


def readable(source: LandedTable, folder: Path) -> dict[Path, str]:
    """Return the files of a source as they can be read, with their names; archives are unpacked into a folder.

    Raises:
        BoathouseError: an archive cannot be unpacked.
    """
    found: dict[Path, str] = {}
    for nth, file in enumerate(source.files):
        if not is_archive(file.name):
            found[file] = file.name
            continue
        names = [member.name for member in archives.members_of(file, FilePattern(source.path).takes_member)]
        room = folder / str(nth)
        room.mkdir()
        unpacked = archives.extract(file, names, room)
        found |= {path: f"{file.name}/{name}" for path, name in zip(unpacked, names, strict=True)}
    return found


def copied(landing: Path, named: Sequence[Path], room: Path) -> list[Path]:
    """Copy objects of a landing zone in a bucket, or all in its folders, below a room; return where they lie there.

    Raises:
        UsageError: one is outside of the landing zone, or not there.
    """
    found = []
    for path in named:
        if not store.is_below(path, landing):
            fix = f"copy it to {landing}/<domain>/<table>/ first, and draft it there"
            raise UsageError(f"{path.name} is not in the landing zone {landing}", where=path, fix=fix)
        inner = [path / name for name, _ in store.files_below(path)] or ([path] if path.is_file() else [])
        if not inner:
            raise UsageError("no such file", where=path, fix="name files that are in the landing zone")
        seen = [file for file in inner if not _is_hidden(file)]
        targets = [room / file.relative_to(landing).as_posix() for file in seen]
        for folder in {target.parent for target in targets}:
            folder.mkdir(parents=True, exist_ok=True)
        store.fetch(seen, targets)
        found.append(room / path.relative_to(landing).as_posix())
    return found


def sources(landing: Path, named: Sequence[Path]) -> list[LandedTable]:
    """Return the tables that the files belong to; of a folder all files that are in it, however deep.

    Raises:
        UsageError: a file is outside of the landing zone, not there, or of no format that is known.
    """
    groups: dict[tuple[str, str], list[Path]] = {}
    for file in dict.fromkeys(file for path in named for file in _files(path)):
        domain, table = _place(landing, file)
        groups.setdefault((domain, table), []).append(file)
    if not groups:
        fix = "name files, or a folder, below the landing zone: make draft FILES=data/landing/shop/orders"
        raise UsageError("no files", where=", ".join(map(str, named)), fix=fix)
    return [_source(landing, domain, table, files) for (domain, table), files in groups.items()]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = (file for file in sorted(path.rglob("*")) if file.is_file())
        return [file for file in found if not _is_hidden(file)]
    if not path.is_file():
        raise UsageError("no such file", where=path, fix="name files that are in the landing zone")
    return [path]


def _is_hidden(file: Path) -> bool:
    return file.name.startswith((".", "~$"))


def _place(landing: Path, file: Path) -> tuple[str, str]:
    """Return the domain and table of a file."""
    home, target = landing.resolve(), file.resolve()
    if not target.is_relative_to(home):
        if target.suffix in Seed.ENDINGS and target.match(f"src/silver/*/{SEEDS}/*"):
            seed = Seed(target.parts[-3], target.stem, target)
            fix = f"write its contract as docs/pulling.md shows it, with the path {seed.lands_as}"
            raise UsageError(f"{seed.shown} is a seed, which lands by itself", where=file, fix=fix)
        name = snake_case(_stem(file)) or "table"
        folder = shlex.quote(f"{_shown(landing)}/<domain>/{name}").replace("'", "")
        fix = f"land it first: `mkdir -p {folder} && cp {shlex.quote(str(file))} {folder}/`, and draft the copy"
        raise UsageError(f"{file.name} is not in the landing zone {_shown(landing)}", where=file, fix=fix)
    folders = target.relative_to(home).parts[:-1]
    if not folders:
        fix = f"move it to {_shown(landing)}/<domain>/<table>/: the folders name the domain and the table"
        raise UsageError(f"{file.name} lies in no folder of the landing zone", where=file, fix=fix)
    domain = _name(folders[0], "domain")
    if len(folders) > 1:
        return f"{domain}_data" if domain in _DOMAINS_TAKEN else domain, _name(folders[1], "table")
    return domain, _name(re.sub(r"[\d\W_]+$", "", _stem(file)) or _stem(file), "table")


def _name(text: str, kind: str) -> str:
    name = snake_case(text)
    if not name:
        return kind
    return name if name[0].isalpha() else f"{kind}_{name}"


def _stem(file: Path) -> str:
    name = file.name
    while (suffix := Path(name).suffix.lower()) in {*PACKED, *FORMATS, ARCHIVE}:
        name = name[: -len(suffix)]
    return name


def _suffix(file: Path) -> str:
    """Return the ending that says the format, in small letters: of an archive that of most of the files in it."""
    if is_archive(file.name):
        endings = [Path(name).suffix.lower() for name in archives.members(file)]
        known = [ending for ending in endings if ending in FORMATS]
        return max(known, key=known.count, default=ARCHIVE)
    name = file.name
    while Path(name).suffix.lower() in PACKED:
        name = name[: -len(Path(name).suffix)]
    return Path(name).suffix.lower()


def _source(landing: Path, domain: str, table: str, files: Sequence[Path]) -> LandedTable:
    suffixes = sorted({_suffix(file) for file in files})
    kinds = {FORMATS.get(suffix) for suffix in suffixes}
    if len(kinds) > 1:
        found = ", ".join(suffix or "no ending" for suffix in suffixes)
        fix = "draft those of one ending; for the others add a server to the contract, or land them in another folder"
        raise UsageError(f"{domain}/{table} has files of several formats: {found}", where=files[0].parent, fix=fix)
    kind = kinds.pop()
    if kind is None:
        fix = f"known endings: {', '.join(FORMATS)}, also followed by {', '.join(PACKED)}, or in a {ARCHIVE}"
        raise DataError(f"format unknown: {files[0].name}", where=files[0], fix=fix)
    return LandedTable(domain, table, _pattern(landing, files, suffixes), kind, tuple(files), landing)


def _pattern(landing: Path, files: Sequence[Path], suffixes: Sequence[str]) -> str:
    """Return the glob that takes these files and those that will land beside them."""
    inner_paths = [file.resolve().relative_to(landing.resolve()) for file in files]
    ending = f"*{suffixes[0]}" if len(suffixes) == 1 else "*"
    folders = {inside.parts[:-1] for inside in inner_paths}
    if len(next(iter(folders))) == 1:  # files that share a domain's folder with those of other tables
        stem = re.sub(r"[\d\W_]+$", "", _stem(files[0])) or _stem(files[0])
        name = _escaped(stem) + ending if len(files) > 1 or stem != _stem(files[0]) else _escaped(stem) + suffixes[0]
        return f"{_escaped(inner_paths[0].parts[0])}/{name}"
    deeper = "" if all(len(parts) == 2 for parts in folders) else "**/"
    return f"{_escaped(inner_paths[0].parts[0])}/{_escaped(inner_paths[0].parts[1])}/{deeper}{ending}"


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _shown(landing: Path) -> str:
    try:
        return str(landing.relative_to(Path.cwd()))
    except ValueError:
        return str(landing)
