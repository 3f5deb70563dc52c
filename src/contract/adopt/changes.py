"""What adopting a contract changes is kept, one by one, each with where and why."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Change:
    """One change: the table it is in, where in the file that was adopted, and what was done and why."""

    table: str
    where: str
    what: str


@dataclass
class Changes:
    """The changes made so far, and the table that is worked on."""

    found: list[Change] = field(default_factory=list)
    table: str = ""

    def add(self, where: str, what: str) -> None:
        """Keep one change; the same one said twice is one."""
        change = Change(self.table, where, what)
        if change not in self.found:
            self.found.append(change)


def snake(text: str, taken: Collection[str] = (), default: str = "column") -> str:
    """Return a name as contracts write them: small letters, digits and _; with a number where it is taken."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    name = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_") or default
    name = name if name[0].isalpha() else f"{default}_{name}"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; of one object, that one; of anything else none."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
