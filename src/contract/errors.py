"""An error says what was found in a contract, where, and what to write. All errors of all files are one list."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.errors import BoathouseError, ContractError, from_os_error, nearest

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass
class ContractFile:
    """One contract's file or folder, its document, and the errors found in it.

    `references` are the tables declared elsewhere that it names.
    """

    path: Path
    layer: str
    domain: str
    shown: str  # the path as a person knows it
    errors: list[BoathouseError]  # one list for all files
    document: dict[str, Any] = field(default_factory=dict)  # empty: nothing more can be said about it
    references: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)  # key path, table id, columns
    dictionaries: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)  # of which one column is enough
    broken: set[str] = field(default_factory=set)  # key paths that break the standard: one error each is enough

    def error(self, what: str, key: str = "", fix: str | None = None) -> None:
        """Add an error of this file; none where `key` breaks the standard already."""
        if key and key in self.broken:
            return
        self.errors.append(ContractError(what, where=f"{self.shown}, {key}" if key else self.shown, fix=fix))

    def text(self, path: Path) -> str:
        """Return a file's text; add an error and return '' where it cannot be read or is empty."""
        try:
            text = path.read_text(encoding="utf-8-sig").rstrip()  # lines keep their numbers
        except UnicodeDecodeError as error:
            self.error(f"{path.name} is not utf-8 at byte {error.start}", fix="save it as utf-8")
            return ""
        except OSError as error:
            self.errors.append(from_os_error(error, path))
            return ""
        if not text:
            self.error(f"{path.name} is empty", fix="write it, or remove the file")
        return text

    def check_name(self, kind: str, name: str, key: str = "", reserved: Collection[str] = ()) -> None:
        """Add an error where a name is not snake case or is reserved."""
        if not _NAME.fullmatch(name) or name in reserved:
            fix = "write snake case: a small letter, then small letters, digits and _"
            self.error(f"{kind} name {name}", key, fix + (f"; reserved: {listed(reserved)}" if reserved else ""))

    def check_columns(self, names: Iterable[object], known: Collection[str], key: str) -> None:
        """Add an error for each name that is no known column."""
        for name in names:
            if name not in known:
                self.error(f"no column {name}", key, hint(str(name), known))


@dataclass(frozen=True)
class Part:
    """A part of a contract: its YAML node, and the key path that leads to it."""

    file: ContractFile
    node: Mapping[str, Any]
    key: str = ""

    def key_path(self, key: str) -> str:
        """Return the key path of `key` in this part."""
        return f"{self.key}.{key}".strip(".")

    def error(self, what: str, key: str = "", fix: str | None = None) -> None:
        """Add an error of this part, or of what lies at `key` in it."""
        self.file.error(what, self.key_path(key), fix)

    def parts(self, name: str) -> list[Part]:
        """Return the parts in the list of this name."""
        return [
            Part(self.file, node, self.key_path(f"{name}[{at}]")) for at, node in enumerate(self.node.get(name, ()))
        ]

    def text(self, name: str) -> str:
        """Return the text of this name; '' where there is none."""
        return str(self.node.get(name) or "").strip()


# -- words


def with_article(word: str) -> str:
    """Return a word with its article: a date, an integer."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def listed(values: Iterable[object]) -> str:
    """Return values as one text with commas."""
    return ", ".join(map(str, values))


def hint(word: str, known: Iterable[str]) -> str:
    """Return the fix for an unknown name: the known one nearest to it, and all known ones."""
    known = sorted(known)
    near = nearest(word, known)
    return (f"did you mean `{near}`? " if near else "") + (f"known: {listed(known)}" if known else "known: none")


def kind(value: object) -> str:
    """Return what a message calls a value whose content does not matter: keys and values, a list, text, ..."""
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    return "text" if isinstance(value, str) else "nothing" if value is None else str(value)


def shown(value: object) -> str:
    """Return a value found in a contract, as it was written; long text is cut."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value if len(value) <= 60 else value[:60] + '...'}'"
    if value is None or value in ([], ()):
        return "empty"
    return kind(value)
