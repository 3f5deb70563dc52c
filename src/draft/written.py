"""The text of a drafted contract: as a person would write it, a line for each column, what was found behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from src.console import plain
from src.contract import Feed, Source
from src.contract.model import Names

_WIDTH = 150  # characters of a line before its comment
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./*-]*")
_MEANS_OTHER = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


@dataclass
class DraftColumn:
    """One column of a drafted contract, with what was found of it."""

    name: str
    logical: str
    physical: str | None
    expression: str | None  # transformLogic; None: the file's column of the same name
    required: bool = False
    enum: tuple[str, ...] = ()
    key: int = 0  # its place in the key, from 1
    partitioned: bool = False
    comments: list[str] = field(default_factory=list)


@dataclass
class DraftContract:
    """A drafted contract: one table of one feed."""

    feed: Feed
    table: str
    columns: list[DraftColumn]
    head: list[str] = field(default_factory=list)  # comments above all
    sequence_by: str | None = None
    replaces: str | None = None
    delete_when: str | None = None
    on_conflict: str | None = None
    tail: list[str] = field(default_factory=list)  # comments below the columns

    @property
    def key(self) -> tuple[str, ...]:
        """Return the names of the key's columns in their order; () for none."""
        return tuple(column.name for column in sorted(self.columns, key=lambda column: column.key) if column.key)

    def set_key(self, names: Sequence[str]) -> None:
        """Make these columns the key: none of them is an enumeration then."""
        for column in self.columns:
            if column.name in names:
                column.key, column.enum = names.index(column.name) + 1, ()

    def text(self) -> str:
        """Return the contract as YAML."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from (f"# {plain(line)}" for line in self.head)
        yield "apiVersion: v3.1.0"
        yield "kind: DataContract"
        yield f"id: silver.{self.feed.domain}.{self.table}"
        yield "version: 1.0.0"
        yield "status: draft"
        yield "servers:"
        yield from _item(_server(self.feed), "  ", "")
        yield "schema:"
        yield f"  - name: {scalar(self.table)}"
        yield "    properties:"
        positions = sum(1 for column in self.columns if column.key)
        for column in self.columns:
            yield from _item(_property(column, positions > 1), "      ", "; ".join(column.comments))
        properties = [
            ("sequenceBy", self.sequence_by, "of the rows of one key the one with the greatest wins"),
            ("onConflict", self.on_conflict, "of rows that nothing else orders the one that arrived last"),
            ("deleteWhen", self.delete_when, "such a row takes its key away"),
            ("replaces", self.replaces, "an answer is the whole truth: what it does not have is gone"),
        ]
        if any(value for _, value, _ in properties):
            yield "    customProperties:"
        for name, value, meaning in properties:
            if value:
                yield f"      - {{property: {name}, value: {scalar(value)}}}  # {meaning}"
        yield from (f"    # {plain(line)}" for line in self.tail)


_Pair = tuple[str, str | list[str]]  # a key, and its value or the items of its list, as YAML


def _server(feed: Feed) -> list[_Pair]:
    pairs: list[_Pair] = [("server", scalar(feed.name)), ("type", "local"), ("path", scalar(feed.path))]
    pairs.append(("format", feed.format))
    usual = {item.name: item.default for item in fields(Feed)}
    own: list[str] = []
    for name in (item.name for item in fields(Feed) if item.compare):
        value = getattr(feed, name)
        if name in ("domain", "name", "path", "format") or value == usual[name]:
            continue
        if name == "record_path":
            value = ".".join(value)
        if name in ("delimiter", "encoding"):
            pairs.append((name, scalar(value)))
        else:
            own.append(f"{{property: {_camel(name)}, value: {_value(value)}}}")
    if own:
        pairs.append(("customProperties", own))
    return pairs


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _value(value: object) -> str:
    if isinstance(value, Names):
        pairs = [f"unnamed: {scalar(value.unnamed)}"] if value.unnamed else []
        return f"{{{', '.join(pairs + ['repeated: number'] * value.repeated)}}}"
    if isinstance(value, Source):
        return _value({"connector": value.connector, "name": value.name, **value.options})
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{scalar(str(key))}: {_value(one)}' for key, one in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else scalar(str(value))


def _property(column: DraftColumn, numbered: bool) -> list[_Pair]:
    pairs: list[_Pair] = [("name", scalar(column.name)), ("logicalType", column.logical)]
    if column.physical:
        pairs.append(("physicalType", scalar(column.physical)))
    if column.key:
        pairs.append(("primaryKey", "true"))
        pairs += [("primaryKeyPosition", str(column.key))] if numbered else []
    if column.partitioned:
        pairs.append(("partitioned", "true"))
    if column.required and not column.key:
        pairs.append(("required", "true"))
    if column.expression is not None:
        pairs.append(("transformLogic", scalar(column.expression)))
    if column.enum:
        pairs.append(("enum", [f"{{value: {scalar(value)}}}" for value in column.enum]))
    return pairs


def _item(pairs: Sequence[_Pair], indent: str, comment: str) -> Iterator[str]:
    """Yield one entry of a list: in one line where that is not too long, its comment behind or above it."""
    line = f"{indent}- {{{', '.join(f'{key}: {_in_line(value)}' for key, value in pairs)}}}"
    comment = plain(comment)
    if comment and (len(line) > _WIDTH or len(line) + len(comment) > _WIDTH + 60):
        yield f"{indent}# {comment}"
        comment = ""
    if len(line) <= _WIDTH:
        yield line + (f"  # {comment}" if comment else "")
        return
    for nth, (key, value) in enumerate(pairs):
        start = f"{indent}{'- ' if nth == 0 else '  '}{key}:"
        if isinstance(value, str) or len(start) + len(_in_line(value)) < _WIDTH:
            yield f"{start} {_in_line(value)}"
        else:
            yield start
            yield from (f"{indent}    - {item}" for item in value)


def _in_line(value: str | list[str]) -> str:
    return value if isinstance(value, str) else f"[{', '.join(value)}]"


def scalar(text: str) -> str:
    """Return text as a YAML scalar that is that text wherever it stands: bare, or in quotes."""
    if (_PLAIN.fullmatch(text) or _PATH.fullmatch(text)) and text.lower() not in _MEANS_OTHER and not _is_number(text):
        return text if not text.startswith(("*", "-", ".")) else f'"{text}"'
    if not text.isprintable():
        return f'"{"".join(map(_escaped, text))}"'
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def _escaped(letter: str) -> str:
    if letter == "\t":
        return "\\t"
    if letter in '"\\':
        return "\\" + letter
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9._+-]+([eE][0-9+-]*)?|0[xob][0-9a-fA-F_]+|[0-9][0-9:.-]*", text))
