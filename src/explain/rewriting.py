"""A model rewritten so that each of its rows carries the numbers of the source rows that it was computed from.

The tree of DuckDB's own parser is changed, one rule per construct: a row of a source carries itself; a join carries
the rows of both sides; what makes one row of several (GROUP BY, DISTINCT, UNION, INTERSECT, EXCEPT) carries those
of all of them, a window those of its frame, and a subquery those that it read. The rules are the influence semantics
of Perm (Glavic and Alonso, ICDE 2009), with one list column in place of a column per source.

They are sufficient, not always the fewest: of a maximum all rows of the group are carried. A row that is not there
influences too (NOT EXISTS, EXCEPT); such rows are not carried.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from src.engine import DuckEngine, identifier, literal

Node: TypeAlias = dict[str, Any]

_RANKS = frozenset({"row_number", "rank", "dense_rank", "rank_dense"})
_OF_ONE_ROW = frozenset({"lag", "lead", "first_value", "last_value", "nth_value", "first", "last"})
_OF_ALL_ROWS = frozenset({"percent_rank", "cume_dist", "ntile"})
_FRAME = ("start", "end", "start_expr", "end_expr", "exclude_clause", "filter_expr")
_HOLE = "hole"  # begins the names in a template that nodes are put in place of
_SET_OPERATIONS = {  # what all rows of both sides with the same values have in common, _side being 0 or 1
    "UNION": "true",
    "INTERSECT": "min({side}) = 0 AND max({side}) = 1",
    "EXCEPT": "max({side}) = 0",
}


class NotRewritten(Exception):
    """A construct of which no rule tells what its rows were computed from."""


class Rewriting:
    """Rewrites models over sources; `sources`: by name, a SELECT of the columns and of the number `row_id`.

    `carried` is the column of the result: a BIGINT[] of these numbers.
    """

    def __init__(self, engine: DuckEngine, sources: Mapping[str, str], row_id: str, carried: str) -> None:
        self._engine, self._sources, self._row_id, self._carried = engine, sources, row_id, carried
        self._side = f"{carried}_side"
        self._made = 0  # names given to subqueries without one

    def rewritten(self, sql: str) -> str:
        """Return a SELECT with one more column, what each row was computed from.

        Raises:
            NotRewritten: a construct has no rule.
            ContractError: it does not parse.
        """
        tree = copy.deepcopy(self._engine.parse(sql))
        self._query(tree["statements"][0]["node"], frozenset())
        return str(self._engine.one(f"SELECT json_deserialize_sql({literal(json.dumps(tree))})")[0])

    # -- queries

    def _query(self, node: Node, ctes: frozenset[str]) -> None:
        for entry in node["cte_map"]["map"]:
            query = entry["value"]["query_node"]
            if entry["value"]["key_targets"] or query["type"] == "RECURSIVE_CTE_NODE":
                raise NotRewritten("a recursive CTE")
            if entry["value"]["aliases"]:
                entry["value"]["aliases"].append(self._carried)
            self._query(query, ctes)
            ctes |= {entry["key"].lower()}
        if node["type"] == "SELECT_NODE":
            self._select(node, ctes)
        elif node["type"] == "SET_OPERATION_NODE":
            self._set_operation(node, ctes)
        else:
            raise NotRewritten(node["type"].removesuffix("_NODE").replace("_", " ").lower())

    def _set_operation(self, node: Node, ctes: frozenset[str]) -> None:
        kind, by_name = node["setop_type"].removesuffix("_BY_NAME"), node["setop_type"].endswith("_BY_NAME")
        children = node.get("children") or [node["left"], node["right"]]
        for child in children:
            self._query(child, ctes)
        if kind == "UNION" and node["setop_all"]:
            return
        if kind not in _SET_OPERATIONS or node["setop_all"] or (kind != "UNION" and len(children) != 2):
            raise NotRewritten(f"{kind} ALL" if node["setop_all"] else kind)
        sides = []
        for at, child in enumerate(children):
            side = self._template(f"SELECT *, {at} AS {identifier(self._side)} FROM (SELECT 1) AS s")
            side["from_table"]["subquery"]["node"] = child
            sides.append(side)
        together = {**node, "children": sides, "left": None, "right": None, "setop_all": True}
        together |= {"setop_type": "UNION_BY_NAME" if by_name else "UNION"}
        self._merge_equal(node, together, _SET_OPERATIONS[kind].format(side=identifier(self._side)), self._side)

    def _merge_equal(self, node: Node, rows: Node, having: str = "true", *helpers: str) -> None:
        """Make of a query one whose rows are the different ones of another, each carrying what its equals carry."""
        carried = identifier(self._carried)
        left_out = ", ".join([carried, *map(identifier, helpers)])
        made = self._template(
            f"SELECT * EXCLUDE ({left_out}), flatten(list({carried})) AS {carried} "
            f"FROM (SELECT 1) AS s GROUP BY ALL HAVING {having}"
        )
        made["modifiers"], made["cte_map"] = node["modifiers"], node["cte_map"]
        made["from_table"]["subquery"]["node"] = {**rows, "modifiers": [], "cte_map": {"map": []}}
        node.clear()
        node.update(made)

    def _select(self, node: Node, ctes: frozenset[str]) -> None:
        if node.get("sample"):
            raise NotRewritten("a sample")
        behind = self._from(node, "from_table", ctes)
        clauses = ("where_clause", "select_list", "having", "qualify", "group_expressions")
        orders = [one for one in node["modifiers"] if one["type"] == "ORDER_MODIFIER"]
        queries = [one for clause in clauses for one in _within(node[clause], "SUBQUERY")]
        queries += _within(orders, "SUBQUERY")
        row = self._joined([*behind, *(self._read_by(query, ctes) for query in queries)])
        if behind:
            for star in _within(node["select_list"], "STAR"):
                star["exclude_list"] = [*star["exclude_list"], self._carried]
        if self._is_grouped(node):
            row = self._expression("flatten(list(hole0))", row)
        first = {id(one) for one in _only_first(node["qualify"])}
        windows = list(_within([node["select_list"], node["qualify"], orders], "WINDOW"))
        frames = [self._frame(one, row) for one in windows if id(one) not in first]
        carried = {**self._joined([row, *frames]), "alias": self._carried}
        node["select_list"].append(carried)
        distinct = [m for m in node["modifiers"] if m["type"] == "DISTINCT_MODIFIER" and not m["distinct_on_targets"]]
        if distinct:
            node["modifiers"] = [one for one in node["modifiers"] if one not in distinct]
            self._merge_equal(node, dict(node))

    def _is_grouped(self, node: Node) -> bool:
        if node["group_expressions"] or node["aggregate_handling"] != "STANDARD_HANDLING" or node["group_sets"]:
            return True
        called = (one["function_name"].lower() for one in _within([node["select_list"], node["having"]], "FUNCTION"))
        return any(name in self._engine.functions.aggregates or name == "count_star" for name in called)

    # -- FROM

    def _from(self, holder: Node, slot: str, ctes: frozenset[str]) -> list[Node]:
        """Rewrite what stands in FROM; returns the expressions of what its rows carry."""
        node = holder[slot]
        kind = node["type"]
        if node.get("sample"):
            raise NotRewritten("a sample")
        if kind in ("EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION"):
            return []  # constants; and unnest(t.x) is carried by t
        if kind == "JOIN":
            return self._join(node, ctes)
        self._made += 1
        if kind == "BASE_TABLE":
            alias = node["alias"] or node["qualified_name"]["path"][-1]
            path = ".".join(node["qualified_name"]["path"])
            if path.lower() in ctes:
                node["alias"] = alias
            else:
                holder[slot] = self._source(path, alias, node)
            if path.lower() in ctes and node["column_name_alias"]:
                node["column_name_alias"] = [*node["column_name_alias"], self._carried]
        elif kind == "SUBQUERY":
            self._query(node["subquery"]["node"], ctes)
            alias = node["alias"] = node["alias"] or f"{self._carried}_{self._made}"
            if node["column_name_alias"]:
                node["column_name_alias"] = [*node["column_name_alias"], self._carried]
        else:
            raise NotRewritten(kind.replace("_", " ").lower())
        return [self._carried_by(identifier(alias))]

    def _source(self, path: str, alias: str, node: Node) -> Node:
        row_id, carried = identifier(self._row_id), identifier(self._carried)
        select = f"SELECT * EXCLUDE ({row_id}), [{row_id}] AS {carried} FROM ({self._sources[path.lower()]})"
        made: Node = self._template(f"SELECT * FROM ({select}) AS s")["from_table"]
        # the row's number stands last, so that names given to its columns fit
        return {**made, "alias": alias, "column_name_alias": node["column_name_alias"]}

    def _join(self, node: Node, ctes: frozenset[str]) -> list[Node]:
        if node["ref_type"] not in ("REGULAR", "CROSS", "ASOF"):
            raise NotRewritten(f"a {node['ref_type'].lower()} join")  # a natural one would join by what rows carry
        left = self._from(node, "left", ctes)
        right = self._from(node, "right", ctes)
        if next(_within(node["condition"], "SUBQUERY"), None):
            raise NotRewritten("a subquery in a join's condition")
        if node["join_type"] == "ANTI":
            return left  # without the right rows nothing more is found
        if node["join_type"] == "SEMI":
            if node["condition"] is None:
                raise NotRewritten("SEMI JOIN USING")
            read = self._expression(f"(SELECT flatten(list(hole0)) FROM t WHERE {_HOLE})", self._joined(right))
            query = read["subquery"]["node"]
            query["from_table"] = copy.deepcopy(node["right"])
            query["where_clause"] = copy.deepcopy(node["condition"])
            return [*left, self._or_none(read)]
        return [*left, *right]

    # -- what is carried

    def _carried_by(self, alias: str) -> Node:
        return self._or_none(self._expression(f"{alias}.{identifier(self._carried)}"))

    def _or_none(self, node: Node) -> Node:
        """Return an expression that is an empty list where it would be NULL, as on the empty side of an outer join."""
        return self._expression("coalesce(hole0, []::BIGINT[])", node)

    def _joined(self, lists: Sequence[Node]) -> Node:
        if not lists:
            return self._expression("[]::BIGINT[]")
        whole = lists[0]
        for one in lists[1:]:
            whole = self._expression("list_concat(hole0, hole1)", whole, one)
        return whole

    def _read_by(self, query: Node, ctes: frozenset[str]) -> Node:
        """Return what a subquery in an expression read, as a scalar subquery that is correlated as it is.

        Of `x IN (SELECT y ...)` only the rows whose y is x.
        """
        inner = copy.deepcopy(query["subquery"]["node"])
        given = inner.get("select_list", [])
        by_value = (
            query["subquery_type"] == "ANY"
            and query["comparison_type"] == "COMPARE_EQUAL"
            and [one["class"] for one in given] not in ([], ["STAR"])
        )
        self._query(inner, ctes)
        if not by_value and not any(
            inner.get(part) for part in ("modifiers", "group_expressions", "having", "qualify")
        ):
            # nothing else is asked of it; beside a correlated count(*) DuckDB 2.0.0 fails with an error of its own
            inner["select_list"] = inner["select_list"][-1:]
        carried, value = identifier(self._carried), identifier(f"{self._carried}_value")
        condition = f" WHERE s.{value} = {_HOLE}" if by_value else ""
        read = self._expression(f"(SELECT flatten(list(s.{carried})) FROM (SELECT 1) AS s{condition})")
        made = read["subquery"]["node"]
        made["from_table"]["subquery"]["node"] = inner
        if by_value:  # under a name that stands in no model: x may be a column that the subquery has too
            made["from_table"]["column_name_alias"] = [f"{self._carried}_value", self._carried]
            made["where_clause"]["right"] = copy.deepcopy(query["child"])
        return self._or_none(read)

    def _frame(self, window: Node, row: Node) -> Node:
        """Return what the value of a window function was computed from."""
        name = window["function_name"].lower()
        if name in _OF_ONE_ROW:
            made = {**copy.deepcopy(window), "alias": "", "default_expr": None}
            made["arguments"] = made["arguments"][:2]
            made["arguments"][0]["expression"] = copy.deepcopy(row)
            return self._or_none(made)
        made = self._expression("list(hole0) OVER (PARTITION BY 1 ORDER BY 1)", row)
        made["partitions"], made["orders"] = copy.deepcopy(window["partitions"]), copy.deepcopy(window["orders"])
        if name in _OF_ALL_ROWS:
            made["orders"], made["start"], made["end"] = [], "UNBOUNDED_PRECEDING", "UNBOUNDED_FOLLOWING"
        elif name in self._engine.functions.aggregates or name == "count_star":
            made |= {key: copy.deepcopy(window[key]) for key in _FRAME}
        elif name not in _RANKS:  # of these all rows up to this one, its peers included
            raise NotRewritten(f"{name}() over a window")
        return self._or_none(self._expression("flatten(hole0)", made))

    # -- trees

    def _expression(self, sql: str, *parts: Node) -> Node:
        """Return an SQL expression as a tree, with these trees in place of its columns hole0, hole1, ..."""
        holes = {f"{_HOLE}{at}": part for at, part in enumerate(parts)}
        made: Node = _filled(self._template(f"SELECT {sql}")["select_list"][0], holes)
        return made

    def _template(self, sql: str) -> Node:
        node: Node = copy.deepcopy(self._engine.parse(sql)["statements"][0]["node"])
        return node


def _filled(tree: Any, holes: Mapping[str, Node]) -> Any:
    if isinstance(tree, list):
        return [_filled(part, holes) for part in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("class") == "COLUMN_REF" and tree["column_names"][0] in holes:
        return copy.deepcopy(holes[tree["column_names"][0]])
    return {key: _filled(part, holes) for key, part in tree.items()}


def _only_first(qualify: Node | None) -> Iterator[Node]:
    """Yield the windows of which QUALIFY lets the first row pass alone: it is that without the others, too."""
    for one in _within(qualify, "COMPARISON"):
        left, right = one["left"], one["right"]
        is_one = one["type"] == "COMPARE_EQUAL" and right.get("literal", {}).get("text") == "1"
        if is_one and left["class"] == "WINDOW" and left["function_name"].lower() in _RANKS:
            yield left


def _within(tree: object, kind: str) -> Iterator[Node]:
    """Yield the expressions of a class that are of this query: not those within its subqueries.

    Of functions not the window functions themselves, but what these are given.
    """
    if isinstance(tree, list):
        for part in tree:
            yield from _within(part, kind)
    if not isinstance(tree, dict):
        return
    if tree.get("class") == kind:
        yield tree
    if tree.get("class") == "SUBQUERY":
        yield from _within(tree.get("child"), kind)
        return
    for part in tree.values():
        if isinstance(part, dict | list):
            yield from _within(part, kind)
