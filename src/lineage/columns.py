"""What the columns of a table are made of, table by table down to the columns of landed files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from src.contract import Table
from src.errors import UsageError, nearest
from src.origins import read_origins
from src.project import Project
from src.proof.columns import Origin, Reference


@dataclass(frozen=True)
class ColumnLineage:
    """A column, the columns that its values are made of, and those that decide which rows count for it.

    `column` None stands for any column of the table: its model is not SQL, or the column has not landed yet.
    """

    table: str
    column: str | None
    made_of: tuple[ColumnLineage, ...] = ()
    decided_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableLineage:
    """A table, its contract's version, and the lineage of its columns."""

    table: str
    contract: str
    columns: tuple[ColumnLineage, ...]


def trace_columns(project: Project, table: Table, names: Collection[str] = ()) -> TableLineage:
    """Return the lineage of the columns of a table: of these, or of all.

    Raises:
        UsageError: a name is no column of it.
    """
    known = list(table.stored_columns)
    for name in names:
        if name not in known:
            like = nearest(name, known)
            fix = f"did you mean {like}?" if like else f"its columns are {', '.join(known)}"
            raise UsageError(f"no column {name} in {table.id}", fix=fix)
    tracing = _Tracing(project)
    columns = tuple(tracing.column((table.id, name)) for name in known if not names or name in names)
    return TableLineage(table.id, table.version, columns)


def print_lineage(found: TableLineage) -> None:
    """Print what the columns of a table are made of, each with what lies below it further in."""
    print(f"{found.table} {found.contract}")
    for one in found.columns:
        print(f"  {one.column}")
        _print_below(one, "    ")


def _print_below(one: ColumnLineage, indent: str) -> None:
    for part in one.made_of:
        print(f"{indent}{column_name((part.table, part.column))}")
        _print_below(part, indent + "  ")
    if one.decided_by:
        print(f"{indent}rows by {', '.join(one.decided_by)}")


class _Tracing:
    """The origins of the columns of each table, worked out once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._tables = {**project.contracts.silver, **{mart.id: mart for mart in project.marts}}
        self._known: dict[str, dict[str, Origin]] = {}

    def column(self, of: Reference) -> ColumnLineage:
        """Return the lineage of a column. No table is built from itself, so this comes to an end."""
        table, name = of
        origin = self._origins(table).get(name) if name else None
        if origin is None:  # of a landed file, or any of a table: what that is made of its own columns tell
            return ColumnLineage(table, name)
        return ColumnLineage(
            table,
            name,
            tuple(map(self.column, _ordered(origin.values))),
            tuple(map(column_name, _ordered(origin.shaping))),
        )

    def _origins(self, table: str) -> dict[str, Origin]:
        if table not in self._known:
            declared = self._tables.get(table)
            self._known[table] = read_origins(self._project, declared) if declared else {}
        return self._known[table]


def column_name(of: Reference) -> str:
    """Return a column as people write it: `silver.shop.orders.amount`; `silver.shop.orders.*` for any of a table."""
    table, name = of
    return f"{table}.{name or '*'}"


def _ordered(some: Iterable[Reference]) -> list[Reference]:
    return sorted(some, key=column_name)
