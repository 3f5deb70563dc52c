"""Which source columns make each column of a SELECT, and which only decide what rows it has: from the parsed statement.

    values   what a value is computed of: what a column, a function, an aggregate or a CASE reads
    shaping  what filters, joins, groups or orders the rows that it is computed from

Nothing is guessed. Where a name cannot be told (columns of a PIVOT, COLUMNS(), a function's own), the column is made
of "any column" of the tables in its FROM: a reference without a name. A count of rows is made of no column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from src.engine import DuckEngine

Node: TypeAlias = Mapping[str, Any]
Reference: TypeAlias = tuple[str, str | None]  # a table's id and a column of it; None: any of them
_STEPS = 5  # of a recursive CTE, by which no other column comes in any more


@dataclass(frozen=True)
class Origin:
    """The source columns of one value."""

    values: frozenset[Reference] = frozenset()
    shaping: frozenset[Reference] = frozenset()

    def __or__(self, other: Origin) -> Origin:
        return Origin(self.values | other.values, self.shaping | other.shaping)

    @property
    def all(self) -> frozenset[Reference]:
        """Return every column that it depends on."""
        return self.values | self.shaping

    def only_shaping(self) -> Origin:
        """Return it as that of a condition."""
        return Origin(frozenset(), self.all)


NOTHING = Origin()


@dataclass(frozen=True)
class _Output:
    alias: str | None  # of the table that it is a column of
    name: str
    origin: Origin


@dataclass(frozen=True)
class _Relation:
    outputs: tuple[_Output, ...] = ()
    rows: frozenset[Reference] = frozenset()  # what decides which rows it has
    tables: frozenset[str] = frozenset()  # the sources below it
    rest: Origin | None = None  # of every column whose name is not known
    merged: Mapping[str, Origin] = field(default_factory=dict)  # by USING
    hidden: frozenset[tuple[str | None, str]] = frozenset()  # what a star leaves out: USING merged it
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # alias of a table: its full name

    @property
    def any_column(self) -> Origin:
        """Return the origin of what may be made of anything that is read here."""
        return Origin(frozenset((table, None) for table in self.tables))


_Ctes: TypeAlias = Mapping[str, "_Cte"]
_Scopes: TypeAlias = Sequence[_Relation]  # of names: the nearest first


@dataclass(frozen=True)
class _Cte:
    """A common table expression: walked over already, or to be, with those that it may read."""

    node: Node
    within: _Ctes
    relation: _Relation | None = None


@dataclass(frozen=True)
class _Names:
    """The meanings of a name beside a column: an alias of the SELECT list, a parameter of a lambda."""

    aliases: Mapping[str, Origin] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()


def column_origins(
    engine: DuckEngine, sql: str, tables: Mapping[str, Collection[str]], *, ordering: bool = False
) -> dict[str, Origin]:
    """Return the origin of each column of a SELECT, by its name in lower case; "*" is that of columns not told apart.

    `tables`: the columns of each table that it reads; one that is not there has unknown columns. `ordering`: what only
    orders the rows counts too, as it is read.

    Raises:
        ContractError: it does not parse, or is not one SELECT.
    """
    walk = _Walk(tables, engine.functions.aggregates | {"count_star"}, ordering)
    result = walk.query(engine.parse(sql)["statements"][0]["node"], {}, ())
    named = {output.name.lower(): _shaped(output.origin, result.rows) for output in result.outputs}
    return named | ({"*": _shaped(result.rest, result.rows)} if result.rest else {})


def _shaped(origin: Origin, rows: frozenset[Reference]) -> Origin:
    return Origin(origin.values, (origin.shaping | rows) - origin.values)


class _Walk:
    """One walk over a parsed SELECT."""

    def __init__(
        self, tables: Mapping[str, Collection[str]], aggregates: Collection[str], ordering: bool = False
    ) -> None:
        self._tables = {name.lower(): (name, columns) for name, columns in tables.items()}
        self._aggregates, self._ordering = aggregates, ordering

    # -- queries

    def query(self, node: Node, ctes: _Ctes, scopes: _Scopes) -> _Relation:
        """Return the relation that a SELECT, a set operation or a recursive CTE gives."""
        within = dict(ctes)
        for entry in (node.get("cte_map") or {}).get("map", ()):
            within[entry["key"].lower()] = _Cte(entry["value"], dict(within))
        if node["type"] == "SELECT_NODE":
            return self._select(node, within, scopes)
        if node["type"] == "SET_OPERATION_NODE":
            return self._set_operation(node, within, scopes)
        if node["type"] == "RECURSIVE_CTE_NODE":
            return self._recursive(node, within, scopes)
        read = frozenset(self._read_below(node, within))
        return _Relation(tables=read, rest=_Relation(tables=read).any_column)

    def _select(self, node: Node, ctes: _Ctes, scopes: _Scopes) -> _Relation:
        scope = self._from(node["from_table"], ctes, scopes)
        here = [scope, *scopes]
        outputs, names = self._items(node["select_list"], here, ctes)
        conditions = [node[key] for key in ("where_clause", "having", "qualify") if node.get(key)]
        keys = [self._key(key, node["select_list"]) for key in node.get("group_expressions") or ()]
        if node.get("aggregate_handling") == "FORCE_AGGREGATES":
            keys += [item for item in node["select_list"] if not self._is_aggregate(item)]
        rows = scope.rows.union(*(self._value(one, here, ctes, names).all for one in (*conditions, *keys)))
        rows |= self._modified(node, outputs, here, ctes, names)
        unknown = any(map(_names_unknown_columns, node["select_list"]))
        rest = scope.any_column if unknown else scope.rest if _has_star(node["select_list"]) else None
        return _Relation(tuple(outputs), rows, scope.tables, rest)

    def _items(self, items: Sequence[Node], here: _Scopes, ctes: _Ctes) -> tuple[list[_Output], _Names]:
        """Return the columns of a SELECT list, and what their aliases mean elsewhere in the SELECT."""
        outputs: list[_Output] = []
        aliases: dict[str, Origin] = {}
        names = _Names(aliases)
        for item in items:
            if item.get("class") == "STAR":
                outputs += () if _names_unknown_columns(item) else self._star(item, here, ctes, names)
                continue
            origin = self._value(item, here, ctes, names)
            own = item["column_names"][-1] if item.get("class") == "COLUMN_REF" else ""
            outputs.append(_Output(None, item.get("alias") or own, origin))
            if item.get("alias"):
                aliases.setdefault(item["alias"].lower(), origin)
        return outputs, names

    def _star(self, item: Node, here: _Scopes, ctes: _Ctes, names: _Names) -> Iterator[_Output]:
        scope, table = here[0], item.get("relation_name", "").lower()
        left_out = {name.lower() for name in item.get("exclude_list") or ()}
        left_out |= {str(one).lower() for one in item.get("qualified_exclude_list") or ()}
        swapped = {
            entry["key"].lower(): self._value(entry["value"], here, ctes, names)
            for entry in item.get("replace_list") or ()
        }
        renamed = {entry["key"]["column"].lower(): entry["value"] for entry in item.get("rename_list") or ()}
        for output in scope.outputs:
            name = output.name.lower()
            if name in left_out or (output.alias != table if table else (output.alias, output.name) in scope.hidden):
                continue
            origin = swapped.get(name) or (output.origin if table else scope.merged.get(name, output.origin))
            yield _Output(None, renamed.get(name, output.name), origin)

    def _key(self, key: Node, items: Sequence[Node]) -> Node:
        """Return what a key of GROUP BY means: an item of the SELECT list where it is a number."""
        literal = (key.get("literal") or {}) if key.get("class") == "CONSTANT" else {}
        at = int(literal["text"]) - 1 if literal.get("kind") == "INTEGER" else -1
        return items[at] if 0 <= at < len(items) else key

    def _modified(
        self, node: Node, outputs: Sequence[_Output], here: _Scopes, ctes: _Ctes, names: _Names
    ) -> frozenset[Reference]:
        """Return what DISTINCT and LIMIT decide by which rows there are."""
        modifiers = node.get("modifiers") or ()
        found: set[Reference] = set()
        limited = self._ordering or any(modifier["type"].startswith("LIMIT") for modifier in modifiers)
        for modifier in modifiers:
            if modifier["type"] == "DISTINCT_MODIFIER":
                targets = modifier.get("distinct_on_targets") or ()
                limited = limited or bool(targets)
                for target in targets:
                    found |= self._value(target, here, ctes, names).all
                for output in () if targets else outputs:
                    found |= output.origin.all
        for modifier in modifiers:
            if modifier["type"] == "ORDER_MODIFIER" and limited:
                for order in modifier["orders"]:
                    found |= self._ordered(order["expression"], outputs, here, ctes, names)
        return frozenset(found)

    def _ordered(
        self, key: Node, outputs: Sequence[_Output], here: _Scopes, ctes: _Ctes, names: _Names
    ) -> frozenset[Reference]:
        literal = (key.get("literal") or {}) if key.get("class") == "CONSTANT" else {}
        if literal.get("kind") == "INTEGER" and 0 < int(literal["text"]) <= len(outputs):
            return outputs[int(literal["text"]) - 1].origin.all
        return self._value(key, here, ctes, names).all

    def _is_aggregate(self, tree: object) -> bool:
        if isinstance(tree, list):
            return any(map(self._is_aggregate, tree))
        if not isinstance(tree, Mapping) or tree.get("class") in ("SUBQUERY", "WINDOW"):
            return False
        if tree.get("class") == "FUNCTION" and tree["function_name"].lower() in self._aggregates:
            return True
        return any(map(self._is_aggregate, tree.values()))

    def _set_operation(self, node: Node, ctes: _Ctes, scopes: _Scopes) -> _Relation:
        kind = node["setop_type"]
        arms = [self.query(arm, ctes, scopes) for arm in node.get("children") or [node["left"], node["right"]]]
        first = arms[0]
        rows = frozenset[Reference]().union(*(arm.rows for arm in arms))
        tables = frozenset[str]().union(*(arm.tables for arm in arms))
        rests = [arm.rest for arm in arms if arm.rest]
        if kind in ("EXCEPT", "INTERSECT"):
            outputs = first.outputs
            rows = rows.union(*(output.origin.all for arm in arms for output in arm.outputs))
        elif kind == "UNION_BY_NAME":
            by_name: dict[str, _Output] = {}
            for output in (one for arm in arms for one in arm.outputs):
                before = by_name.get(output.name.lower(), _Output(None, output.name, NOTHING))
                by_name[output.name.lower()] = replace(before, origin=before.origin | output.origin)
            outputs = tuple(by_name.values())
        else:
            outputs = tuple(_united(arms, rests[0] if rests else None))
        if kind.startswith("UNION") and not node.get("setop_all"):
            rows = rows.union(*(output.origin.all for output in outputs))
        rest = rests[0] if rests else None
        for other in rests[1:]:
            rest = rest | other if rest else other
        rows |= self._modified(node, outputs, [_Relation(outputs, rest=rest, tables=tables)], ctes, _Names())
        return _Relation(outputs, rows, tables, rest)

    def _recursive(self, node: Node, ctes: _Ctes, scopes: _Scopes) -> _Relation:
        name = node["cte_name"].lower()
        found = self.query(node["left"], ctes, scopes)
        for _ in range(_STEPS):
            step = self.query(node["right"], {**ctes, name: _Cte(node, ctes, found)}, scopes)
            outputs = tuple(_united([found, step], None))
            found = replace(found, outputs=outputs, rows=found.rows | step.rows, tables=found.tables | step.tables)
        return found

    # -- FROM

    def _from(self, node: Node, ctes: _Ctes, scopes: _Scopes) -> _Relation:
        kind = node["type"]
        names = [name.lower() for name in node.get("column_name_alias") or ()]
        if kind == "EMPTY":
            return _Relation()
        if kind == "BASE_TABLE":
            return self._table(node, names, ctes)
        if kind == "SUBQUERY":
            return _aliased(self.query(node["subquery"]["node"], ctes, scopes), node.get("alias") or "", names)
        if kind == "EXPRESSION_LIST":
            return self._listed(node, names, ctes, scopes)
        if kind == "TABLE_FUNCTION":
            origin = self._value(node["function"], list(scopes), ctes, _Names())
            alias = (node.get("alias") or node["function"]["function_name"]).lower()
            made = _Relation(tuple(_Output(alias, name, origin) for name in names or [alias]), rest=origin)
            return replace(made, paths={alias: (alias,)})
        if kind == "JOIN":
            return self._join(node, ctes, scopes)
        read = frozenset(self._read_below(node, ctes))
        alias = (node.get("alias") or "").lower()
        unknown = _Relation(tables=read, rest=_Relation(tables=read).any_column)
        return replace(unknown, paths={alias: (alias,)}) if alias else unknown

    def _table(self, node: Node, names: Sequence[str], ctes: _Ctes) -> _Relation:
        path = tuple(part.lower() for part in node["qualified_name"]["path"])
        alias = (node.get("alias") or path[-1]).lower()
        if len(path) == 1 and path[0] in ctes:
            cte = ctes[path[0]]
            relation = cte.relation or self.query(cte.node["query_node"], cte.within, ())
            given = names or [name.lower() for name in cte.node.get("aliases") or ()]
            return _aliased(relation, alias, given)
        table, columns = self._tables.get(".".join(path), (".".join(path), None))
        read = frozenset({table})
        outputs = tuple(_Output(None, name, Origin(frozenset({(table, name)}))) for name in columns or ())
        rest = _Relation(tables=read).any_column if columns is None else None
        return _aliased(_Relation(outputs, tables=read, rest=rest), alias, names, path)

    def _listed(self, node: Node, names: Sequence[str], ctes: _Ctes, scopes: _Scopes) -> _Relation:
        """Return the relation of VALUES."""
        columns = [
            [self._value(row[at], list(scopes), ctes, _Names()) for row in node["values"]]
            for at in range(len(node["values"][0]))
        ]
        outputs = tuple(
            _Output(None, names[at] if at < len(names) else f"col{at}", _all(values))
            for at, values in enumerate(columns)
        )
        return _aliased(_Relation(outputs), node.get("alias") or "", ())

    def _join(self, node: Node, ctes: _Ctes, scopes: _Scopes) -> _Relation:
        left = self._from(node["left"], ctes, scopes)
        right = self._from(node["right"], ctes, [left, *scopes])  # which may name columns of the left side
        using = [name.lower() for name in node.get("using_columns") or ()]
        if node["ref_type"] == "NATURAL":
            theirs = {output.name.lower() for output in right.outputs}
            using = [output.name.lower() for output in left.outputs if output.name.lower() in theirs]
        merged = {name: _named(left, name) | _named(right, name) for name in using}
        hidden = frozenset((one.alias, one.name) for one in right.outputs if one.name.lower() in using)
        rests = [side.rest for side in (left, right) if side.rest]
        both = _Relation(
            outputs=left.outputs + right.outputs,
            rows=left.rows | right.rows | _all(merged.values()).all,
            tables=left.tables | right.tables,
            rest=_all(rests) if rests else None,
            merged={**left.merged, **right.merged, **merged},
            hidden=left.hidden | right.hidden | hidden,
            paths={**left.paths, **right.paths},
        )
        if node.get("condition"):
            condition = self._value(node["condition"], [both, *scopes], ctes, _Names())
            both = replace(both, rows=both.rows | condition.all)
        if node["join_type"] in ("SEMI", "ANTI"):
            return replace(left, rows=both.rows, tables=both.tables)
        return both

    def _read_below(self, tree: object, ctes: _Ctes) -> Iterator[str]:
        """Yield the sources that are read anywhere in a part of a statement."""
        for node in _nodes(tree):
            if node.get("type") == "BASE_TABLE":
                yield from self._table(node, (), ctes).tables

    # -- expressions

    def _value(self, node: Node, here: _Scopes, ctes: _Ctes, names: _Names) -> Origin:
        kind = node.get("class")
        if kind == "COLUMN_REF":
            return _resolved([part.lower() for part in node["column_names"]], here, names)
        if kind == "STAR":  # of count(*), or of COLUMNS()
            return here[0].any_column if here and _names_unknown_columns(node) else NOTHING
        if kind == "LAMBDA":
            parameters = {one["column_names"][0].lower() for one in _nodes(node["lhs"]) if one.get("column_names")}
            arrow = node.get("syntax_type") != "LAMBDA_KEYWORD"  # which may as well be that of JSON
            origin = self._value(node["lhs"], here, ctes, names) if arrow and _knows(here, parameters) else NOTHING
            return origin | self._value(node["expr"], here, ctes, replace(names, bound=names.bound | parameters))
        if kind == "SUBQUERY":
            return self._subquery(node, here, ctes, names)
        if kind == "WINDOW":
            return self._window(node, here, ctes, names)
        return self._parts(node, here, ctes, names)

    def _parts(self, node: Node, here: _Scopes, ctes: _Ctes, names: _Names) -> Origin:
        """Return the origin of all that an expression holds; FILTER and ORDER BY of an aggregate are conditions."""
        found = NOTHING
        for key, part in node.items():
            inner = _all(self._value(one, here, ctes, names) for one in _expressions(part))
            found |= inner.only_shaping() if key in ("filter", "order_bys") else inner
        return found

    def _window(self, node: Node, here: _Scopes, ctes: _Ctes, names: _Names) -> Origin:
        """Return the origin of a window function: its arguments, shaped by its frame; without any, its frame."""
        of_values = ("arguments", "default_expr", "offset_expr")
        values = _all(self._value(one, here, ctes, names) for key in of_values for one in _expressions(node.get(key)))
        frame = _all(
            self._value(one, here, ctes, names)
            for key, part in node.items()
            if key not in of_values
            for one in _expressions(part)
        )
        return values | frame.only_shaping() if node.get("arguments") else frame

    def _subquery(self, node: Node, here: _Scopes, ctes: _Ctes, names: _Names) -> Origin:
        inner = self.query(node["subquery"]["node"], ctes, here)
        compared = self._value(node["child"], here, ctes, names) if node.get("child") else NOTHING
        if node["subquery_type"] in ("EXISTS", "NOT_EXISTS"):
            return Origin(inner.rows)
        selected = _all(output.origin for output in inner.outputs) | (inner.rest or NOTHING)
        return compared | Origin(selected.values, selected.shaping | inner.rows)


def _united(arms: Sequence[_Relation], rest: Origin | None) -> Iterator[_Output]:
    """Yield the columns of a union by their places, under the names of its first arm."""
    for at, output in enumerate(arms[0].outputs):
        others = [arm.outputs[at].origin if at < len(arm.outputs) else arm.rest or NOTHING for arm in arms[1:]]
        yield replace(output, alias=None, origin=_all([output.origin, *others]) | (rest or NOTHING))


def _aliased(relation: _Relation, alias: str, names: Sequence[str], path: tuple[str, ...] | None = None) -> _Relation:
    """Return a relation under an alias, its first columns renamed."""
    alias = alias.lower()
    outputs = tuple(
        _Output(alias or None, names[at] if at < len(names) else output.name, output.origin)
        for at, output in enumerate(relation.outputs)
    )
    paths = {alias: path or (alias,)} if alias else {}
    return replace(relation, outputs=outputs, merged={}, hidden=frozenset(), paths=paths)


def _resolved(path: list[str], here: _Scopes, names: _Names) -> Origin:
    """Return the origin of a name: of the nearest scope that has it; a source's column goes before an alias."""
    if (len(path) == 1 and path[0] in names.bound) or (path[0] in names.bound and not _knows(here, {path[0]})):
        return NOTHING
    for depth, scope in enumerate(here):
        found = _in_scope(path, scope)
        if found is not None:
            return found
        if depth == 0 and path[0] in names.aliases:
            return names.aliases[path[0]]
    rests = [scope.rest for scope in here if scope.rest]
    return rests[0] if rests else _all(scope.any_column for scope in here[:1])


def _in_scope(path: list[str], scope: _Relation) -> Origin | None:
    """Return what a name means in one scope: a column, one of a table, a field of a struct, or a table's whole row."""
    if len(path) == 1 and path[0] in scope.merged:
        return scope.merged[path[0]]
    for cut in range(len(path) - 1, 0, -1):
        table, column = tuple(path[:cut]), path[cut]
        own = [one for one in scope.outputs if one.alias and _is_table(table, one.alias, scope)]
        found = [one.origin for one in own if one.name.lower() == column]
        if found:
            return _all(found)
        if own or any(_is_table(table, alias, scope) for alias in scope.paths):
            return scope.rest or scope.any_column
    found = [one.origin for one in scope.outputs if one.name.lower() == path[0]]
    if found:
        return _all(found)
    whole = [one.origin for one in scope.outputs if one.alias == path[0]]
    return _all(whole) if whole else None


def _is_table(path: tuple[str, ...], alias: str, scope: _Relation) -> bool:
    return path == (alias,) or scope.paths.get(alias, ())[-len(path) :] == path


def _named(relation: _Relation, name: str) -> Origin:
    if name in relation.merged:
        return relation.merged[name]
    found = [output.origin for output in relation.outputs if output.name.lower() == name]
    return _all(found) if found else relation.rest or NOTHING


def _knows(here: _Scopes, names: Collection[str]) -> bool:
    return any(output.name.lower() in names for scope in here for output in scope.outputs)


def _all(origins: Any) -> Origin:
    found = NOTHING
    for origin in origins:
        found |= origin
    return found


def _has_star(items: Sequence[Node]) -> bool:
    return any(item.get("class") == "STAR" for item in items)


def _names_unknown_columns(item: Node) -> bool:
    """Return whether an item gives columns whose names the statement does not tell: COLUMNS(), unnest of a struct."""
    return item.get("class") == "STAR" and bool(item.get("columns") or item.get("expr"))


def _expressions(part: object) -> Iterator[Node]:
    """Yield the outermost expressions in a part of one."""
    if isinstance(part, Mapping):
        if "class" in part:
            yield part
        else:
            for inner in part.values():
                yield from _expressions(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _expressions(inner)


def _nodes(tree: object) -> Iterator[Node]:
    if isinstance(tree, Mapping):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _nodes(part)
