"""A mistake in a statement, in our words: what was found, on which line of it, and the nearest names as the fix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from src.errors import ContractError

_LINE = re.compile(r"^LINE (\d+): ", re.MULTILINE)
_KIND = re.compile(r"^\w+ Error: ")
_QUOTED = re.compile(r'"([^"]+)"')
_WORDINGS = (
    (r'Referenced column "(.+)" not found in FROM clause!?', r"no column \1"),
    (
        r'[Cc]olumn "(.+)" referenced that exists in the SELECT clause.*',
        r"no column \1, but what the SELECT makes of it",
    ),
    (r'Table "(.+)" does not have a column named "(.+)"', r"no column \1.\2"),
    (r'(?:\w+ )?Function with name "?(.+?)"? does not exist!?', r"no function \1"),
    (r'Referenced table "(.+)" not found!?', r"no table \1"),
    (r'Table with name "?(.+?)"? does not exist.*', r"no table \1"),
    (r"No function matches the given name and argument types '(.+)'\..*", r"no function \1"),
)
_MOST = 3  # ways to call a function, by name


class SqlMistake(ContractError):
    """A statement that does not parse or bind; `line` is the line in it, from 1, where that is known."""

    def __init__(self, text: str, shown: str) -> None:
        at = _LINE.search(text)
        first, *more = [line.strip() for line in text[: at.start() if at else None].splitlines() if line.strip()] or [
            ""
        ]
        self.line = int(at[1]) if at else None
        super().__init__(_in_our_words(_KIND.sub("", first)), where=shown, fix=_fix(more))

    def in_file(self, file: Path, what: str = "") -> ContractError:
        """Return the mistake as one in a file that holds this statement; `what` stands before it."""
        where = f"{file}:{self.line}" if self.line else str(file)
        return ContractError(f"{what}{self.what}", where=where, fix=self.fix or "correct the SQL")


class UnparsedError(ContractError):
    """A text that is not one SELECT; `line` is the line in it, from 1, where that is known."""

    def __init__(self, tree: Mapping[str, str], sql: str, shown: str) -> None:
        """`tree`: what the engine's parser gives for it."""
        known = "position" in tree
        self.line = sql.encode()[: int(tree["position"])].count(b"\n") + 1 if known else None
        what = tree["error_message"] if known else "it is no SELECT"
        super().__init__(f"the SQL does not parse: {what}", where=shown, fix=None if known else "write one SELECT")


def _in_our_words(text: str) -> str:
    for pattern, ours in _WORDINGS:
        if found := re.fullmatch(pattern, text):
            return found.expand(ours)
    text = text.rstrip("!.")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _fix(more: list[str]) -> str | None:
    """Return what the engine proposes: the nearest names, or how a function is called."""
    if not more:
        return None
    if more[0].startswith("Candidate functions"):
        return f"it is called as {'; '.join(more[1 : _MOST + 1])}"
    if more[0].startswith(("Candidate", "Did you mean")):
        names = _QUOTED.findall(" ".join(more))
        return f"did you mean {' or '.join(names)}?" if names else None
    return "; ".join(more)
