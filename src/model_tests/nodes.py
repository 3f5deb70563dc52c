"""YAML as it is written: every value keeps its text and its line, so that 1.10 stays 1.10 and 2026-01-31 a text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.contract.errors import hint
from src.errors import BoathouseError, ContractError, from_os_error
from src.model_tests.declared import Nested

_TAG = "tag:yaml.org,2002:"
_BARE = ("int", "float", "bool")  # what JSON may write without quotes
_KINDS = {"scalar": "one value", "sequence": "a list", "mapping": "keys and values"}


@dataclass(frozen=True)
class Node:
    """One part of a test file: what stands there, in which line, and to whom its errors are told."""

    raw: Any
    shown: str  # the file as a person knows it
    errors: list[BoathouseError]
    test: str = ""  # the name of the test it belongs to
    key: Any = None  # what it is the value of

    @property
    def line(self) -> int:
        """Return the line of its key; of a list's item, where it begins."""
        return int((self.key or self.raw).start_mark.line) + 1

    @property
    def where(self) -> str:
        """Return the file and line, as an error shows them."""
        return f"{self.shown}, line {self.line}"

    @property
    def kind(self) -> str:
        """Return what a message calls the value: a list, keys and values, one value."""
        return _KINDS[self.raw.id]

    @property
    def is_null(self) -> bool:
        """Return whether the value is null."""
        return bool(self.raw.tag == f"{_TAG}null")

    def error(self, what: str, fix: str | None = None) -> None:
        """Add an error about this value."""
        where = f"{self.where}, {self.test}" if self.test else self.where
        self.errors.append(ContractError(what, where=where, fix=fix))

    def node(self, raw: Any, key: Any = None) -> Node:
        """Return another node of the same file and test."""
        return Node(raw, self.shown, self.errors, self.test, key)

    def items(self, what: str) -> list[Node]:
        """Return the parts of a list; none, with an error added, where it is none."""
        if self.raw.id != "sequence":
            self.error(f"{what} is {'empty' if self.is_null else self.kind}", "write a list, `[]` for an empty one")
            return []
        return [self.node(item) for item in self.raw.value]

    def pairs(self, what: str) -> dict[str, Node]:
        """Return keys and values, those of `<<: *other` too; none, with an error added, where they are no such."""
        if self.raw.id != "mapping":
            self.error(f"{what} is {'empty' if self.is_null else self.kind}", "write keys and values")
            return {}
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in self.raw.value:
            if key.tag == f"{_TAG}merge":
                others = [self.node(raw) for raw in (value.value if value.id == "sequence" else [value])]
                for other in others:
                    merged = {**other.pairs(what), **merged}
            elif key.id != "scalar":
                self.node(key).error(f"a key of {what} is {self.node(key).kind}", "write a name")
            elif key.value in own:
                self.node(key).error(f"duplicate key {key.value}", "keep one of them")
            else:
                own[key.value] = self.node(value, key)
        return {**merged, **own}

    def known(self, what: str, keys: Sequence[str]) -> dict[str, Node]:
        """Return keys and values; add an error for each key that is none of these."""
        found = self.pairs(what)
        for key, node in found.items():
            if key not in keys:
                node.error(f"unknown key {key}", hint(key, keys))
        return {key: node for key, node in found.items() if key in keys}

    def text(self, what: str) -> str:
        """Return one value's text; '', with an error added, where it is none."""
        if self.raw.id != "scalar" or self.is_null or not self.raw.value.strip():
            found = self.kind if self.raw.id != "scalar" else "empty"
            self.error(f"{what} is {found}", "write one value")
            return ""
        return str(self.raw.value)

    def value(self) -> str | None:
        """Return a value of a row: its text, None for null, JSON text for a list or for keys and values."""
        if self.is_null:
            return None
        return str(self.raw.value) if self.raw.id == "scalar" else Nested(self._json())

    def _json(self) -> str:
        if self.raw.id == "sequence":
            return f"[{', '.join(self.node(item)._json() for item in self.raw.value)}]"
        if self.raw.id == "mapping":
            parts = (f"{json.dumps(key)}: {node._json()}" for key, node in self.pairs("a value").items())
            return f"{{{', '.join(parts)}}}"
        bare = self.raw.tag in [f"{_TAG}{name}" for name in _BARE] and _is_json(self.raw.value)
        return "null" if self.is_null else str(self.raw.value) if bare else json.dumps(self.raw.value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def read(path: Path, shown: str, errors: list[BoathouseError]) -> Node | None:
    """Return the document of a test file; None, with an error, where there is none."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        raw = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except UnicodeDecodeError as error:
        errors.append(ContractError(f"not utf-8 at byte {error.start}", where=shown, fix="save it as utf-8"))
        return None
    except OSError as error:
        errors.append(from_os_error(error, path))
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        where = f"{shown}, line {mark.line + 1}" if mark else shown
        errors.append(ContractError(f"not YAML: {problem}", where=where, fix="correct the syntax"))
        return None
    if raw is None:
        errors.append(ContractError("no tests", where=shown, fix="write one, or remove the file"))
        return None
    if circle := next(_circles(raw, []), None):
        line = circle.start_mark.line + 1
        errors.append(ContractError("an alias that stands for itself", where=f"{shown}, line {line}"))
        return None
    return Node(raw, shown, errors)


def _circles(raw: Any, above: list[int]) -> Iterator[Any]:
    """Yield the nodes that lie in themselves, which an alias (*name) can say."""
    if id(raw) in above:
        yield raw
    elif raw.id != "scalar":
        parts = [part for item in raw.value for part in (item if isinstance(item, tuple) else (item,))]
        for part in parts:
            yield from _circles(part, [*above, id(raw)])
