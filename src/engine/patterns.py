"""The pattern of a statement: what it does, without the values that stand in it.

A literal, a number, a comment and a quoted name that is no column of the tables may each be somebody's data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

HIDDEN = "?"


def pattern(sql: str, names: Collection[str] = ()) -> str:
    """Return a statement with `?` for each literal and for each quoted name that is not among `names`, on one line.

    Comments are left out, a list of literals is one `?`, and all that stands without quotes is in lower case.
    """
    known = {name.lower() for name in names}
    text = " ".join(_shown(token, kind, known) for token, kind in _tokens(sql) if kind != "comment")
    text = re.sub(r" ?\. ?", ".", text)
    text = re.sub(r" ?([(\[]) ?", r"\1", text)
    text = re.sub(r" (?=[,)\];])", "", text)
    return re.sub(r"\?(, \?)+", HIDDEN, text).rstrip("; ")


def quoted(sql: str) -> tuple[str, ...]:
    """Return what a statement holds in quotes or in comments, the longest first."""
    found = set()
    for token, kind in _tokens(sql):
        if kind == "comment":
            found.add(token.strip("-/* \n\t"))
        elif kind == "string_const" or token.startswith('"'):
            inner = re.sub(r"""^\w*['"]|['"]$""", "", token)
            found |= {inner, inner.replace("''", "'")}
    return tuple(sorted(found - {""}, key=lambda text: (-len(text), text)))


def _shown(token: str, kind: object, known: Collection[str]) -> str:
    if kind in ("string_const", "numeric_const") and token != ".":
        return HIDDEN
    if token.startswith('"') and token.strip('"').lower() not in known:
        return HIDDEN
    return token if token.startswith('"') else token.lower()


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    """Yield the words of a statement with their kinds; a word that is glued to a number is a part of it (0xFF)."""
    import _duckdb as duckdb

    encoded = sql.encode()  # the tokens' places count bytes
    starts = [(start, kind.name) for start, kind in duckdb.tokenize(sql)]
    ends = [*(start for start, _ in starts[1:]), len(encoded)][: len(starts)]
    in_number = False
    for (start, kind), end in zip(starts, ends, strict=True):
        text = encoded[start:end].decode(errors="replace")
        token = text.strip()
        if token and not (in_number and kind in ("identifier", "keyword", "numeric_const")):
            yield token, kind
        in_number = kind == "numeric_const" and token != "." and text == token
