"""A file that does not fit the others: written otherwise, with other columns, or with values of another type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.draft import shapes
from src.draft.names import snake_case
from src.engine import DuckEngine, identifier, literal

if TYPE_CHECKING:
    from src.draft.fields import Field
    from src.draft.judging import Verdict


@dataclass(frozen=True)
class Misfit:
    """The difference of one file, of one column or ('') of all."""

    file: str
    column: str
    what: str


def misfits(engine: DuckEngine, scan: str, fields: Sequence[Field], verdicts: Sequence[Verdict]) -> list[Misfit]:
    """Return what single files lack or bring, and where one has text while others have numbers or dates."""
    texts = [
        one for one, verdict in zip(fields, verdicts, strict=True) if verdict.logical == "string" and one.is_column
    ]
    columns = list(dict.fromkeys(one.source for one in fields if one.is_column))
    if not columns:
        return []
    asked = [f"count({identifier(name)})" for name in columns]
    for one in texts:
        value = f"nullif(trim({identifier(one.source)}), '')"
        asked += [
            f"count({value})",
            f"count(*) FILTER ({_is_narrow(value)})",
            f"min(left({value}, 40)) FILTER (NOT {_is_narrow(value)})",
        ]
    rows = engine.rows(
        f"SELECT _file, count(*), {', '.join(asked)} FROM {scan} WHERE _reject IS NULL GROUP BY 1 ORDER BY 1"
    )
    if len(rows) < 2:
        return []
    return [*_of_columns(rows, columns), *_of_types(rows, columns, texts)]


def _is_narrow(value: str) -> str:
    listed = ", ".join(literal(word) for word in sorted(shapes.NULL_WORDS))
    narrow = r"[+-]?[0-9][0-9.,]*|[0-9]{1,4}[-/.][0-9A-Za-z]{1,3}[-/.][0-9]{1,4}([ T,].*)?"
    return f"(regexp_full_match({value}, {literal(narrow)}) OR lower({value}) IN ({listed}))"


def _of_columns(rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> list[Misfit]:
    """Return the columns that some files lack, told of the fewer files: those that lack them, or that have them."""
    found: list[Misfit] = []
    files = {name: {str(row[0]) for row in rows if row[at]} for at, name in enumerate(columns, 2)}
    for name in columns:
        with_it = sorted(files[name])
        without = [str(row[0]) for row in rows if str(row[0]) not in files[name]]
        if not without or not with_it:
            continue
        twin = next((n for n in columns if n != name and _are_one(n, name) and not files[n] & files[name]), None)
        if twin:
            what = f"a column that others call {twin}: one for both is coalesce({identifier(name)}, {identifier(twin)})"
            found += [Misfit(file, name, what) for file in with_it if len(with_it) <= len(files[twin])]
            continue
        fewer, what = (
            (without, "no such column") if len(without) <= len(with_it) else (with_it, "a column that others lack")
        )
        found += [Misfit(file, name, what) for file in fewer]
    return found


def _are_one(one: str, other: str) -> bool:
    return snake_case(one).replace("_", "") == snake_case(other).replace("_", "")


def _of_types(rows: Sequence[tuple[object, ...]], columns: Sequence[str], texts: Sequence[Field]) -> list[Misfit]:
    found: list[Misfit] = []
    for nth, one in enumerate(texts):
        at = 2 + len(columns) + 3 * nth
        whole = [str(row[0]) for row in rows if row[at] and row[at] == row[at + 1]]
        other = {str(row[0]): str(row[at + 2]) for row in rows if row[at] != row[at + 1]}
        if whole and other and len(other) < len(whole):
            found += [
                Misfit(file, one.source, f"not a number or date as elsewhere: {value}") for file, value in other.items()
            ]
    return found
