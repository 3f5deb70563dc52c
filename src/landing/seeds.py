"""Seeds: small tables that lie beside the contracts, in git, and land by themselves where they say something new.

A seed is asked of nobody: every run lands what is new, also one that asks no source. It is read whole and judged before
a byte of it lands. A CSV then lands as it is, a YAML list as one line of JSON for each row. Which of its files is the
newest, and whether that says the same, is decided as of every other slice: src/landing/files.py.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from src.checks.outcome import Outcome
from src.contract import Feed, Seed
from src.contract.documents import SEEDS, AsWritten, parse_rows
from src.contract.errors import ContractFile
from src.errors import BoathouseError, ContractError, ContractErrors, from_os_error
from src.landing.connector import Slice
from src.landing.files import FeedFolder, FileAnswer, outcome

_FORMATS = {".csv": "csv", ".ndjson": "ndjson"}
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")  # of JSON


@dataclass(frozen=True)
class _Content:
    """The content of a seed: the bytes that land, and its rows; a value is what JSON has, a number an AsWritten."""

    data: bytes
    rows: list[dict[str, Any]]


def land(landing: Path, seed: Seed, now: datetime, settled: float) -> Outcome:
    """Land a seed where it says something new; `now`, `settled`: see FileAnswer.

    Raises:
        ContractError: it is empty, or not what its ending says; nothing of it landed.
    """
    content, folder = _read(seed.path), _folder(landing, seed)
    folder.clean()
    answer = FileAnswer(folder, Slice(seed.name), now, settled)
    try:
        answer.write(content.data)
        return outcome(answer.finish(), len(content.rows))
    finally:
        answer.discard()


def is_new(landing: Path, seed: Seed) -> bool:
    """Return whether a seed says something new, so that a run would land it; changes nothing.

    Raises:
        ContractError: it is empty, or not what its ending says.
    """
    return not _folder(landing, seed).says(seed.name, _read(seed.path).data)


def folder_of(source: Path, domain: str) -> Path:
    """Return where the seeds of a domain lie; `source` is the project's src/."""
    return source / "silver" / domain / SEEDS


def path_of(folder: Path, name: str) -> Path:
    """Return the file of a seed.

    Raises:
        ContractError: there is none of that name.
    """
    found = [path for ending in Seed.ENDINGS if (path := folder / f"{name}{ending}").is_file()]
    if not found:
        there = sorted(path.stem for path in folder.glob("*") if path.suffix in Seed.ENDINGS)
        fix = f"the seeds are {', '.join(there)}" if there else f"write {name}.csv there"
        raise ContractError(f"no seed {name}", where=folder, fix=fix)
    return found[0]


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a seed as text, by column; where a row has none of a column, or null, it is ''.

    Raises:
        ContractError: it is empty, or not what its ending says.
    """
    found = _read(path).rows
    columns = list(dict.fromkeys(name for row in found for name in row))
    return [{name: _text(row.get(name)) for name in columns} for row in found]


def _folder(landing: Path, seed: Seed) -> FeedFolder:
    """Return its folder in the landing zone, which is the domain's whatever the path of the feed that takes it."""
    kind = _FORMATS[Seed.ENDINGS[seed.path.suffix]]
    return FeedFolder(landing, Feed(seed.domain, seed.name, seed.lands_as, kind, declared_in=seed.path))


def _read(path: Path) -> _Content:
    """Return what a seed says; it is read once, so that what lands is what was judged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise from_os_error(error, path) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError(f"not UTF-8 at byte {error.start}", where=path, fix="save it as UTF-8") from error
    found = list(_csv_rows(path, text)) if path.suffix == ".csv" else _yaml_rows(path, text)
    if not found:
        raise ContractError("no row", where=path, fix="write one, or remove the file: what has landed of it then stays")
    if path.suffix == ".csv":
        return _Content(data, found)
    return _Content("".join(f"{_json(row, path)}\n" for row in found).encode(), found)


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Yield the rows below the header, each with as many values as that."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        if header and (len(set(header)) < len(header) or not all(name.strip() for name in header)):
            what = f"the header {','.join(header)} names a column twice, or not at all"
            raise ContractError(what, where=path, fix="give each column a name of its own")
        for values in lines:
            if values and len(values) != len(header):
                what = f"line {lines.line_num} has {len(values)} values, the header {len(header)}"
                raise ContractError(what, where=path, fix='correct it; a value with a comma goes in "double quotes"')
            if values:
                yield dict(zip(header, values, strict=True))
    except csv.Error as error:
        raise ContractError(f"no CSV at line {lines.line_num}: {error}", where=path, fix="correct it") from error


def _yaml_rows(path: Path, text: str) -> list[dict[str, Any]]:
    errors: list[BoathouseError] = []
    file = ContractFile(path, "silver", path.parent.parent.name, str(path), errors)
    found = parse_rows(text, file) if text.strip() else []
    if errors:
        raise errors[0] if len(errors) == 1 else ContractErrors(errors)
    return found or []


def _json(value: Any, path: Path) -> str:
    """Return a value as JSON: a number with the digits that are written, as text where JSON has no such number."""
    if isinstance(value, AsWritten):
        return str(value) if _NUMBER.fullmatch(value) else json.dumps(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_json(key, path)}: {_json(one, path)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_json(one, path) for one in value) + "]"
    if value is None or isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    raise ContractError(f"a value of the kind {type(value).__name__}", where=path, fix="write text, numbers or lists")


def _text(value: Any) -> str:
    """Return a value of a row as text: a list or an object as JSON."""
    if isinstance(value, str):
        return str(value)
    return "" if value is None else _json(value, Path())
