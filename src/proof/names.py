"""Which value a name in the model means, as DuckDB finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from src.proof.expressions import BOUND, Call, Expression, Opaque
from src.proof.refusals import Refused
from src.proof.relations import Relation


@dataclass(frozen=True)
class Context:
    """The meanings a name can have beside a column, in one clause of a SELECT."""

    aliases: Mapping[str, Expression] = field(default_factory=dict)  # of the SELECT list, in lower case
    alias_first: bool = False  # the clause takes an alias before a column, or may do so
    bound: frozenset[str] = frozenset()  # parameters of a lambda
    keys: tuple[Expression, ...] = ()  # of the one GROUP BY
    replaced: Mapping[Expression, Expression] = field(default_factory=dict)  # keys that are NULL in some grouping sets

    def binding(self, names: set[str]) -> Context:
        """Return this context with the parameters of a lambda."""
        return replace(self, bound=self.bound | names)

    def in_window(self) -> Context:
        """Return this context as it is inside a window: aliases first, no grouping keys."""
        return replace(self, alias_first=True, keys=())


def resolve(
    node: Mapping[str, Any], scopes: Sequence[Relation], context: Context, opaque: Callable[[str, Relation], Opaque]
) -> Expression:
    """Return the value of a column's name: of the nearest scope that has it.

    A source's column goes before an alias. Where a clause may take either and they differ, it is neither.

    Raises:
        Refused: no scope has the name.
    """
    path = [part.lower() for part in node["column_names"]]
    name = path[0]
    if len(path) == 1 and name in context.bound:
        return Opaque(BOUND, name)
    for depth, scope in enumerate(scopes):
        found = _in_scope(path, scope, node)
        if depth == 0 and len(path) == 1 and name in context.aliases:
            if not found:
                return context.aliases[name]
            if context.alias_first and context.aliases[name] != found[0]:
                return opaque(f"{name}, which is both a column and an alias", scope)
        if found:
            return found[0] if len(set(found)) == 1 else opaque(".".join(path), scope)
    raise Refused(f"the name {'.'.join(node['column_names'])} is not understood", node)


def _in_scope(path: list[str], scope: Relation, node: Mapping[str, Any]) -> list[Expression]:
    """Return the values that a name can mean in one scope."""
    if len(path) == 1:
        if path[0] in scope.merged:
            return [scope.merged[path[0]]]
        found = [value for _, name, value in scope.outputs if name.lower() == path[0]]
        if not found and path[0] in scope.paths:
            raise Refused(f"{path[0]}, a whole row of the table, is not understood", node, fix="name its columns")
        return found
    for cut in range(len(path) - 1, 0, -1):
        table, column, fields = path[:cut], path[cut], path[cut + 1 :]
        found = [
            value
            for alias, name, value in scope.outputs
            if alias and name.lower() == column and _is_table(table, alias, scope)
        ]
        if found:
            return [_field(value, fields) for value in found]
    return [_field(value, path[1:]) for _, name, value in scope.outputs if name.lower() == path[0]]


def _is_table(path: list[str], alias: str, scope: Relation) -> bool:
    return path == [alias] or scope.paths.get(alias, [])[-len(path) :] == path


def _field(value: Expression, path: list[str]) -> Expression:
    """Return a field of a struct."""
    for name in path:
        value = Call(f"struct.{name}", (value,))
    return value


def expand_star(node: Mapping[str, Any], scope: Relation) -> list[tuple[str, Expression]]:
    """Return the names and values that a star stands for.

    Raises:
        Refused: it has options that are not understood.
    """
    options = (("columns", "COLUMNS"), ("expr", "COLUMNS"), ("rename_list", "RENAME"))
    for key, word in (*options, ("qualified_exclude_list", "EXCLUDE of a qualified name")):
        if node.get(key):
            raise Refused(f"{word} is not understood", node, fix="name the columns")
    table = node.get("relation_name", "").lower()
    excluded = {name.lower() for name in node.get("exclude_list") or ()}
    return [
        (name, value if table else scope.merged.get(name.lower(), value))
        for alias, name, value in scope.outputs
        if name.lower() not in excluded and (alias == table if table else (alias, name) not in scope.hidden)
    ]
