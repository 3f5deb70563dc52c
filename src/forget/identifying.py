"""The values that say who somebody is: what is to be found nowhere in the lake once they are forgotten.

They are known while the lines are still there, in this process alone. A value that a row of somebody else has as well
tells of nobody, and no search could say whose it is; neither could it of a very short one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from src.contract import Table
from src.engine import identifier, literal
from src.forget.bronze import holding
from src.forget.lines import PLACE, tables_of, typed
from src.lake import DataFile
from src.project import Project

SHORTEST = 4  # characters of a value that is looked for


@dataclass(frozen=True)
class Text:
    """One value as text, and the columns, in lower case, that had it: of tables, and of the files they are made of."""

    text: str
    columns: frozenset[str]


def of_lines(
    project: Project, lines: Mapping[str, str], claims: Mapping[str, Sequence[Sequence[str]]]
) -> tuple[list[Text], int]:
    """Return the values of identifying columns that no other row has, and how many are too short to be looked for.

    `lines`: by feed a relation of the lines; `claims`: by table the columns of hashes. Columns identify that a claim is
    about which is not on the whole key alone, and that have a classification which is masked.
    """
    found: dict[str, set[str]] = {}
    for feed_id, relation in lines.items():
        bronze = project.table(feed_id)
        files = holding(project.engine, bronze, relation) if bronze else []
        for table in tables_of(project.contracts, feed_id):
            for column in _columns(project, table, claims.get(table.id, ())):
                names = {column.lower(), *table.reads_of_files([column], project.engine.column_names)}
                for text in _own_texts(project, table, feed_id, files, relation, column):
                    found.setdefault(text, set()).update(names)
    long = [Text(text, frozenset(columns)) for text, columns in sorted(found.items()) if len(text) >= SHORTEST]
    return long, len(found) - len(long)


def _columns(project: Project, table: Table, claims: Sequence[Sequence[str]]) -> Collection[str]:
    classes = project.settings.masked_classes
    secret = [one.name for one in table.columns if (one.classification or "").lower() in classes and not one.parts]
    claimed = [name for columns in claims if tuple(columns) != table.key or len(claims) == 1 for name in columns]
    return dict.fromkeys([*claimed, *secret])


def _own_texts(
    project: Project, table: Table, feed_id: str, files: Sequence[DataFile], relation: str, column: str
) -> list[str]:
    """Return the texts that a column has in the lines, which these files hold, and in no row of another line."""
    feed = next(one for one in table.feeds if one.id == feed_id)
    bronze, silver = project.table(feed_id), project.table(table.id)
    rows = typed(project.engine, table, (feed, bronze, files), [column]) if bronze else None
    if rows is None:
        return []
    name, same = identifier(column), ", ".join(PLACE)
    sql = f"SELECT DISTINCT {name}::VARCHAR AS text FROM ({rows}) r SEMI JOIN {relation} l USING ({same}) "
    sql += f"WHERE {name} IS NOT NULL"
    if silver and column in silver.columns:
        others = f"{project.engine.scan(silver)} s ANTI JOIN {relation} l USING ({same})"
        sql += f" EXCEPT SELECT DISTINCT {name}::VARCHAR FROM {others}"
    return [str(text) for text in project.engine.values(sql)]


def in_condition(project: Project, where: str) -> list[str]:
    """Return the constants of a condition as texts."""
    tree = project.engine.parse(f"SELECT ({where})")
    found: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            constant = node.get("literal")
            if node.get("class") == "CONSTANT" and isinstance(constant, dict) and constant.get("text"):
                found.append(str(constant["text"]))
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(tree)
    return list(dict.fromkeys(found))


def is_quoted(text: str, values: Collection[str]) -> bool:
    """Return whether a text has one of the values as a word, whatever the case."""
    low = text.casefold()
    return any(re.search(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", low) for value in values if value)


def sql_words(values: Sequence[str]) -> str:
    """Return a regular expression, as an SQL literal, of any of the values as a word."""
    escaped = "|".join(_escaped(value) for value in sorted(values, key=lambda value: -len(value)))
    return literal(rf"(?i)(^|[^\pL\pN])(?:{escaped})($|[^\pL\pN])")


def _escaped(text: str) -> str:
    return "".join(sign if sign.isalnum() or ord(sign) > 127 or sign in " _" else f"\\{sign}" for sign in text)
