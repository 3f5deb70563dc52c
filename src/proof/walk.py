"""The walk over a parsed model: from its sources up to the relation that it gives, one rule per construct.

Everything that is walked over stands on a list of what is allowed; anything else is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from src.engine import DuckEngine, unrepeatable
from src.errors import BoathouseError, ContractError
from src.proof import lookback as looking_back
from src.proof.expressions import (
    NULL,
    Call,
    Cast,
    Constant,
    Expression,
    Opaque,
    SourceColumn,
    Tag,
    calendar,
    origins,
    shown,
)
from src.proof.joins import Join
from src.proof.names import Context, expand_star, resolve
from src.proof.reasoning import UNKNOWN, Reasoning
from src.proof.refusals import WHOLE, Budget, Refused, nodes
from src.proof.relations import SEVERAL, Known, Output, Pair, Relation, aliased
from src.proof.sources import Source
from src.proof.unions import Union, aligned, column_types

Node: TypeAlias = Mapping[str, Any]
Ctes: TypeAlias = Mapping[str, tuple[Node, Mapping[str, Any]]]  # name: its node, and the CTEs that it may read
Scopes: TypeAlias = Sequence[Relation]  # of names: the nearest first
Item: TypeAlias = Node | Expression  # of a SELECT list, stars written out

_SCALARS = ("CAST", "FUNCTION", "COMPARISON", "CONJUNCTION", "OPERATOR", "CASE", "BETWEEN")
_TABLE_FUNCTIONS = ("unnest", "range", "generate_series")
_LIST_FUNCTIONS = ("list_value", "list", "array_agg", "range", "generate_series")
_SAME_IN_A_GROUP = ("min", "max", "any_value", "first")  # of one value: that value
_MODIFIERS = ("ORDER_MODIFIER", "DISTINCT_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER")
_QUERIES = 400  # a CTE is walked over at each use


@dataclass
class Walk:
    """One walk over a model whose sources are cut by `cuts`: source id to one SQL expression per partition column."""

    engine: DuckEngine
    sources: Mapping[str, Source]
    partition: Sequence[tuple[str, str]]  # name and type of each partition column
    cuts: Mapping[str, tuple[str, ...]]
    lookback: int
    budget: Budget
    reasoning: Reasoning = field(init=False)
    equated: list[Pair] = field(default_factory=list)  # wherever in the model
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _queries: int = 0

    def __post_init__(self) -> None:
        self.reasoning = Reasoning(self.engine, self.budget)

    # -- the model

    def model(self, sql: str) -> Relation:
        """Return the relation that a model gives.

        Raises:
            Refused: it has a construct of which no rule says that it stays within partitions.
        """
        tree = parse(self.engine, sql)
        self._check_functions(tree)
        return self.query(tree, {}, [])

    def target(self, result: Relation) -> Tag:
        """Return the partition columns of the result, cast to their types.

        Raises:
            Refused: one of them is not in the result.
        """
        columns = {name.lower(): value for _, name, value in result.outputs}
        missing = [name for name, _ in self.partition if name.lower() not in columns]
        if missing:
            fix = "give every column of the contract a name in the SELECT"
            raise Refused(f"the partition column {missing[0]} is not in the result", fix=fix)
        return tuple(self.reasoning.canonical(Cast(kind, columns[name.lower()])) for name, kind in self.partition)

    def check_local(self, result: Relation, tree: Node) -> None:
        """Check that the partition columns tell the partition of everything that the result depends on.

        Raises:
            Refused: naming the source of which they do not.
        """
        target = self.target(result)
        for dependency in result.depends:
            holds = any(self.reasoning.are_equal(tag, target, result.known) for tag in dependency)
            if holds or looking_back.is_before(dependency, target, result, self.lookback, self.reasoning):
                continue
            titles = self.reasoning.titles()
            names = ", ".join(name for name, _ in self.partition)
            own, other = (", ".join(shown(part, titles) for part in tag) for tag in (target, min(dependency, key=repr)))
            source = self.reasoning.source_of(dependency)
            other = other if other != own else "that of another row"
            what = f"{names} = {own} is not {other}, by which {source or 'a source'} is cut"
            raise Refused(what, self._item_of(tree), source, f"let {names} be what its source is cut by; or {WHOLE}")

    def _item_of(self, tree: Node) -> object:
        """Return where the first partition column stands in the SELECT list."""
        wanted = self.partition[0][0].lower()
        for item in tree.get("select_list") or ():
            own = item.get("alias") or (item.get("column_names") or [""])[-1]
            if own.lower() == wanted:
                return item
        return tree

    def _check_functions(self, tree: object) -> None:
        """Refuse what is not a function of the sources, wherever it stands."""
        for node in nodes(tree):
            for name, instead in unrepeatable.find([node]).items():
                raise Refused(f"{name} is not a function of the rows that the model reads", node, fix=instead)
            if node.get("at_clause"):
                raise Refused("AT is not understood", node, fix="read the newest version")
            if node.get("type") == "TABLE_FUNCTION":
                self._check_known(node["function"], _TABLE_FUNCTIONS)
            elif node.get("class") in ("FUNCTION", "WINDOW"):
                self._check_known(node, self.engine.functions.known | {"unnest", "count_star"})

    def _check_known(self, node: Node, known: Collection[str]) -> None:
        if node["function_name"].lower() not in known:
            raise Refused(f"{node['function_name']}() is not understood", node)

    # -- queries

    def query(self, node: Node, ctes: Ctes, scopes: Scopes) -> Relation:
        """Return the relation that a SELECT or a set operation gives.

        Raises:
            Refused: no rule says that it stays within partitions.
        """
        self._queries += 1
        if self._queries > _QUERIES:
            raise Refused("the model reads its CTEs too often to be proven", node)
        within = dict(ctes)
        for entry in (node.get("cte_map") or {}).get("map", ()):
            within[entry["key"].lower()] = (entry["value"], dict(within))
        if node["type"] == "SELECT_NODE":
            return self._select(node, within, scopes)
        if node["type"] == "SET_OPERATION_NODE":
            return self._set_operation(node, within, scopes)
        raise Refused(f"{_word(node['type'])} is not understood", node)

    def _set_operation(self, node: Node, ctes: Ctes, scopes: Scopes) -> Relation:
        kind = node["setop_type"]
        if kind not in ("UNION", "UNION_BY_NAME", "EXCEPT", "INTERSECT"):
            raise Refused(f"{kind} is not understood", node)
        queries = node.get("children") or [node["left"], node["right"]]
        relations = [self.query(query, ctes, scopes) for query in queries]
        names, arms = aligned(relations, by_name=kind == "UNION_BY_NAME")
        occurrence = next(self._ids)
        self.reasoning.occurrences[occurrence] = Source("", {})
        kinds = column_types(self.reasoning, arms)
        # a column is told by its place: two may have one name
        columns = [SourceColumn(occurrence, str(at), kind) for at, kind in enumerate(kinds)]
        for at, column in enumerate(columns):
            self.reasoning.arms[column] = [arm.values[at] for arm in arms]
        result = Union(self.reasoning, columns, arms).relation(kind.split("_")[0], node)
        result.outputs = [(None, name, column) for name, column in zip(names, columns, strict=True)]
        aliases = {name.lower(): value for _, name, value in result.outputs}
        return self._modified(result, result, node, ctes, [result, *scopes], Context(aliases))

    # -- SELECT

    def _select(self, node: Node, ctes: Ctes, scopes: Scopes) -> Relation:
        scope = self._from(node["from_table"], ctes, scopes)
        items: list[Node] = node["select_list"]
        if node.get("where_clause"):
            context = Context(self._plain_aliases(items, [scope, *scopes], ctes))
            scope.known += self._condition(node["where_clause"], [scope, *scopes], ctes, context)
            scope.loses("its WHERE can leave partitions out")
        context = Context()
        if self._is_grouped(node):
            context = self._group(node, scope, ctes, scopes)
        here = [scope, *scopes]
        if node.get("having"):  # before the windows of the SELECT list, which see what it leaves
            scope.loses("its HAVING can leave partitions out")
        outputs, context = self._items(items, here, ctes, context)
        late = replace(context, alias_first=True)
        for clause in ("having", "qualify"):
            scope.known += self._condition(node.get(clause), here, ctes, late)
        if node.get("qualify"):
            scope.loses("its QUALIFY can leave partitions out")
        scope.back = max(scope.back, scope.windows_back)
        result = replace(scope, outputs=outputs, merged={}, paths={}, hidden=set())
        return self._modified(result, scope, node, ctes, here, late)

    def _items(self, items: Sequence[Node], here: Scopes, ctes: Ctes, context: Context) -> tuple[list[Output], Context]:
        """Return the columns of a SELECT list, and what their aliases mean from then on."""
        outputs: list[Output] = []
        aliases: dict[str, Expression] = {}
        context = replace(context, aliases=aliases)
        for item in items:
            if any(n.get("class") == "FUNCTION" and n["function_name"].lower() == "unnest" for n in nodes(item)):
                here[0].loses("unnest() can leave partitions out")
                here[0].uneven = SEVERAL
            if item.get("class") == "STAR":
                outputs += self._star(item, here, ctes, context)
                continue
            value = self._scalar(item, here, ctes, context)
            alias = item.get("alias")
            own = item["column_names"][-1] if item.get("class") == "COLUMN_REF" else f"#{len(outputs)}"
            outputs.append((None, alias or own, value))
            if alias:
                aliases.setdefault(alias.lower(), value)
        return outputs, context

    def _star(self, item: Node, here: Scopes, ctes: Ctes, context: Context) -> list[Output]:
        swapped = {
            entry["key"].lower(): self._scalar(entry["value"], here, ctes, context)
            for entry in item.get("replace_list") or ()
        }
        columns = expand_star(item, here[0])
        replaced = context.replaced
        return [(None, name, swapped.get(name.lower(), replaced.get(value, value))) for name, value in columns]

    def _plain_aliases(self, items: Sequence[Node], here: Scopes, ctes: Ctes) -> dict[str, Expression]:
        """Return the aliases that WHERE and GROUP BY can name: no aggregate, window or subquery in them."""
        found: dict[str, Expression] = {}
        for item in items:
            if not item.get("alias") or item.get("class") == "STAR" or self._is_aggregate(item):
                continue
            if _has_query_or_window(item):
                continue
            try:
                value = self._scalar(item, here, ctes, Context(found))
            except Refused:  # it names an aggregate, or is refused again in its own place
                continue
            found.setdefault(item["alias"].lower(), value)
        return found

    def _modified(
        self, result: Relation, scope: Relation, node: Node, ctes: Ctes, here: Scopes, context: Context
    ) -> Relation:
        """Return a query's result after ORDER BY, DISTINCT and LIMIT."""
        modifiers: list[Node] = node.get("modifiers") or []
        for modifier in modifiers:
            if modifier["type"] not in _MODIFIERS:
                raise Refused(f"{_word(modifier['type'])} is not understood", node)
            orders = modifier["orders"] if modifier["type"] == "ORDER_MODIFIER" else ()
            for order in orders:
                if order["expression"].get("class") not in ("STAR", "CONSTANT"):
                    self._scalar(order["expression"], here, ctes, context)
        result.depend(scope.depends)  # what a subquery in ORDER BY reads decides which rows DISTINCT ON and LIMIT take
        for modifier in modifiers:
            if modifier["type"] == "DISTINCT_MODIFIER":
                self._distinct(modifier, result, node, ctes, here, context)
        for modifier in modifiers:
            if modifier["type"].startswith("LIMIT"):
                self._limit(modifier, result, node, ctes, here)
        return result

    def _distinct(
        self, modifier: Node, result: Relation, node: Node, ctes: Ctes, here: Scopes, context: Context
    ) -> None:
        targets = [
            result.outputs[int(target["literal"]["text"]) - 1][2]
            if target.get("class") == "CONSTANT"
            else self._scalar(target, here, ctes, context)
            for target in modifier.get("distinct_on_targets") or ()
        ]
        result.loses("its DISTINCT can leave rows out")
        word = "DISTINCT ON" if targets else "DISTINCT"
        self._collapse(result, targets or result.values(), word, modifier.get("distinct_on_targets") or node)

    def _limit(self, modifier: Node, result: Relation, node: Node, ctes: Ctes, here: Scopes) -> None:
        bounds = [modifier[key] for key in ("limit", "offset") if modifier.get(key)]
        for bound in bounds:
            self._scalar(bound, [result, *here], ctes, Context())
        result.loses("its LIMIT can leave rows out")
        self._collapse(result, [], "LIMIT", bounds or node)

    # -- GROUP BY

    def _is_grouped(self, node: Node) -> bool:
        orders = [modifier for modifier in node.get("modifiers") or () if modifier["type"] == "ORDER_MODIFIER"]
        clauses = node.get("group_expressions") or node.get("group_sets") or node.get("having")
        return bool(clauses or _groups_by_all(node)) or self._is_aggregate(
            [node["select_list"], node.get("qualify"), orders]
        )

    def _group(self, node: Node, scope: Relation, ctes: Ctes, scopes: Scopes) -> Context:
        """Check a GROUP BY, and return what names mean after it."""
        keys, complete = self._group_keys(node, scope, ctes, scopes)
        sets: list[list[int]] = node.get("group_sets") or [[]]
        if _groups_by_all(node):
            sets = [list(range(len(keys)))]
        for chosen in sets:
            word = "GROUP BY" if chosen else "the grand total" if keys else "an aggregate without GROUP BY"
            at = node.get("group_expressions") if chosen else self._first_aggregate(node["select_list"])
            self._collapse(scope, [keys[key] for key in chosen], word, at or node)
        scope.uneven = self._uneven_after(keys, scope) if len(sets) == 1 and complete else SEVERAL
        if len(sets) == 1:
            return Context(keys=tuple(keys))
        scope.anchors = frozenset()  # a grand total is there without any row
        common = set.intersection(*map(set, sets))
        return Context(
            replaced={
                key: self._opaque("a key of some grouping sets", scope)
                for at, key in enumerate(keys)
                if at not in common and origins(key)
            }
        )

    def _uneven_after(self, keys: Sequence[Expression], scope: Relation) -> str | None:
        """Return why a grouped relation can have several rows per partition; None if its keys are the partition."""
        if len(scope.depends) != 1:
            return SEVERAL
        for tag in scope.depends[0]:
            if all(self.reasoning.is_determined(key, tag, scope.known, scope.ids) for key in keys):
                return None
        return SEVERAL

    def _group_keys(self, node: Node, scope: Relation, ctes: Ctes, scopes: Scopes) -> tuple[list[Expression], bool]:
        """Return the keys of a GROUP BY, and whether these are all of them."""
        here = [scope, *scopes]
        items = self._written_out(node["select_list"], scope)
        context = Context(self._plain_aliases(node["select_list"], here, ctes))
        keys: list[Expression] = []
        for key in node.get("group_expressions") or ():
            literal = (key.get("literal") or {}) if key.get("class") == "CONSTANT" else {}
            item = items[int(literal["text"]) - 1] if literal.get("kind") == "INTEGER" else key
            keys.append(self._scalar(item, here, ctes, context) if isinstance(item, Mapping) else item)
        complete = True
        for item in items if _groups_by_all(node) else ():
            if not isinstance(item, Mapping):
                keys.append(item)
            elif _has_query_or_window(item):
                complete = complete and self._is_aggregate(item)
            elif not self._is_aggregate(item):
                try:
                    keys.append(self._scalar(item, here, ctes, context))
                except Refused:  # it names an aggregate, or is refused again in its own place
                    complete = False
        return keys, complete

    def _written_out(self, items: Sequence[Node], scope: Relation) -> list[Item]:
        """Return a SELECT list whose stars are the columns they stand for."""
        found: list[Item] = []
        for item in items:
            found += [value for _, value in expand_star(item, scope)] if item.get("class") == "STAR" else [item]
        return found

    def _is_aggregate(self, tree: object) -> bool:
        """Return whether an aggregate of this SELECT stands in an expression; those of its subqueries do not count."""
        if isinstance(tree, list):
            return any(map(self._is_aggregate, tree))
        if not isinstance(tree, Mapping):
            return False
        if tree.get("class") == "SUBQUERY":
            return self._is_aggregate(tree.get("child"))
        if tree.get("class") == "FUNCTION" and self._aggregates(tree["function_name"]):
            return True
        return any(map(self._is_aggregate, tree.values()))

    def _aggregates(self, function: str) -> bool:
        return function.lower() in self.engine.functions.aggregates or function.lower() == "count_star"

    def _first_aggregate(self, items: Sequence[Node]) -> Node | None:
        return next((n for n in nodes(items) if n.get("class") == "FUNCTION" and self._is_aggregate(n)), None)

    def _check_together(self, scope: Relation, keys: Sequence[Expression], what: str, node: object, fix: str) -> None:
        """Refuse to bring rows together that agree on the keys and do not lie in one partition."""
        for dependency in scope.depends:
            if not self.reasoning.determined_tags(dependency, keys, scope.known, scope.ids):
                source = self.reasoning.source_of(dependency)
                raise Refused(f"{what} reads other partitions of {source or 'a source'}", node, source, fix)

    def _collapse(self, scope: Relation, keys: Sequence[Expression], word: str, node: object) -> None:
        """Make rows that agree on the keys one row; only tags on which they agree are left."""
        names = ", ".join(name for name, _ in self.partition)
        grouped = f"{word} with {names} among its keys" if keys else f"GROUP BY {names}"
        fix = f"{grouped}; in a subquery, equate it with the outer row's" if not keys else grouped
        self._check_together(scope, keys, word, node, f"{fix}; or {WHOLE}")
        scope.depends, before = [], scope.depends
        scope.depend(self.reasoning.determined_tags(dependency, keys, scope.known, scope.ids) for dependency in before)
        scope.anchors = self.reasoning.determined_tags(scope.anchors, keys, scope.known, scope.ids)

    # -- FROM

    def _from(self, node: Node, ctes: Ctes, scopes: Scopes) -> Relation:
        kind = node["type"]
        if kind == "EMPTY":
            return Relation([])
        if kind == "BASE_TABLE":
            return self._table(node, ctes)
        if kind == "SUBQUERY":
            relation = self.query(node["subquery"]["node"], ctes, scopes)
            alias = (node.get("alias") or f"#{next(self._ids)}").lower()
            return aliased(relation, alias, node.get("column_name_alias") or [])
        if kind == "EXPRESSION_LIST":
            return self._values(node, ctes, scopes)
        if kind == "TABLE_FUNCTION":
            return self._table_function(node, ctes, scopes)
        if kind == "JOIN":
            return self._join(node, ctes, scopes)
        raise Refused(f"{_word(kind)} is not understood", node)

    def _table(self, node: Node, ctes: Ctes) -> Relation:
        path = [part.lower() for part in node["qualified_name"]["path"]]
        names = node.get("column_name_alias") or []
        if len(path) == 1 and path[0] in ctes:
            value, within = ctes[path[0]]
            query = value["query_node"]
            if query["type"] == "RECURSIVE_CTE_NODE":
                relation = self._recursive(query, path[0])
            else:
                relation = self.query(query, within, [])
            return aliased(relation, (node.get("alias") or path[0]).lower(), names or value.get("aliases") or [])
        source = self.sources.get(".".join(path))
        if source is None:
            raise Refused(f"{'.'.join(path)} is no source", node)
        return aliased(self._occurrence(source), (node.get("alias") or path[-1]).lower(), names, path)

    def _occurrence(self, source: Source) -> Relation:
        """Return a source as the model reads it once."""
        occurrence = next(self._ids)
        self.reasoning.occurrences[occurrence] = source
        columns = {name: SourceColumn(occurrence, name, kind) for name, kind in source.columns.items()}
        relation = Relation([(None, name, column) for name, column in columns.items()], ids={occurrence})
        for name, sql in source.generated.items():
            made = self.reasoning.canonical(Cast(columns[name].type, self._over(sql, relation)))
            relation.known += Known(((columns[name], made),))
        cut = self.cuts.get(source.id)
        if cut:
            kinds = (kind for _, kind in self.partition)
            values = (self._over(sql, relation) for sql in cut)
            tag = tuple(self.reasoning.canonical(Cast(kind, value)) for kind, value in zip(kinds, values, strict=True))
            relation.depends, relation.anchors, relation.gaps = [frozenset({tag})], frozenset({tag}), None
        return relation

    def over_source(self, sql: str, source: str) -> Expression:
        """Return the value of an SQL expression over a source's columns; the walk knows one occurrence of it."""
        occurrence = next(at for at, one in self.reasoning.occurrences.items() if one.id == source)
        columns = self.sources[source].columns.items()
        return self._over(sql, Relation([(None, name, SourceColumn(occurrence, name, kind)) for name, kind in columns]))

    def _over(self, sql: str, relation: Relation) -> Expression:
        """Return the value of an SQL expression of a contract over the columns of a source."""
        try:
            tree = parse(self.engine, f"SELECT {sql}")
            self._check_functions(tree)
            return self._scalar(tree["select_list"][0], [relation], {}, Context())
        except Refused as refused:
            raise Refused(f"{sql}: {refused.what}", fix=refused.fix) from None  # its place is not one in the model

    def _recursive(self, query: Node, name: str) -> Relation:
        """Return a recursive CTE, which may read sources that are whole alone."""
        paths = [".".join(n["qualified_name"]["path"]).lower() for n in nodes(query) if n.get("type") == "BASE_TABLE"]
        cut = [path for path in paths if path in self.cuts]
        unknown = [path for path in paths if path not in self.sources and path != name]
        if cut or unknown:
            raise Refused(f"the recursive {name} reads {[*cut, *unknown][0]}", query, next(iter(cut), None))
        first = self.query(query["left"], {}, [])
        relation = Relation([])
        relation.outputs = [(None, column, self._opaque(column, relation)) for _, column, _ in first.outputs]
        return relation

    def _values(self, node: Node, ctes: Ctes, scopes: Scopes) -> Relation:
        relation = Relation([])
        for value in itertools.chain.from_iterable(node["values"]):
            self._scalar(value, [relation, *scopes], ctes, Context())
        width = len(node["values"][0])
        relation.outputs = [(None, f"col{at}", self._opaque("VALUES", relation)) for at in range(width)]
        alias = (node.get("alias") or f"#{next(self._ids)}").lower()
        return aliased(relation, alias, node.get("column_name_alias") or [])

    def _table_function(self, node: Node, ctes: Ctes, scopes: Scopes) -> Relation:
        function, relation = node["function"], Relation([])
        for argument in function["arguments"]:
            # beside the others of its FROM, so that what it depends on is theirs
            self._scalar(argument.get("expression", argument), scopes or [relation], ctes, Context())
        alias = (node.get("alias") or function["function_name"]).lower()
        names = node.get("column_name_alias") or [alias]
        if function["function_name"].lower() == "unnest" and len(function["arguments"]) != 1:
            raise Refused("unnest() of several lists is not understood", node, fix="unnest them one by one")
        if node.get("with_ordinality") == "WITH_ORDINALITY" and len(names) < 2:
            names = [*names, "ordinality"]
        relation.outputs = [(alias, name, self._opaque(name, relation)) for name in names]
        relation.paths = {alias: [alias]}
        return relation

    def _join(self, node: Node, ctes: Ctes, scopes: Scopes) -> Relation:
        kind, reference = node["join_type"], node["ref_type"]
        if reference not in ("REGULAR", "CROSS", "NATURAL", "ASOF") or node.get("ranking_expression"):
            raise Refused(f"a {reference.lower()} join is not understood", node)
        left = self._from(node["left"], ctes, scopes)
        right = self._from(node["right"], ctes, [left, *scopes])  # which may name columns of the left side
        join = self._joined(node, left, right, ctes, scopes)
        if reference == "ASOF":
            if kind not in ("INNER", "LEFT"):
                raise Refused("an as-of join of this kind is not understood", node)
            return join.as_of(kind)
        if kind in ("SEMI", "ANTI"):
            return join.semi(f"the {kind.lower()} join looks for rows of")
        rules = {
            "INNER": join.inner,
            "LEFT": join.left_outer,
            "RIGHT": join.right_outer,
            "OUTER": join.full_outer,
            "FULL": join.full_outer,
        }
        if kind not in rules:
            raise Refused(f"a {kind.lower()} join is not understood", node)
        return rules[kind]()

    def _joined(self, node: Node, left: Relation, right: Relation, ctes: Ctes, scopes: Scopes) -> Join:
        """Return two relations with what USING or ON equates between them."""
        using = [name.lower() for name in node.get("using_columns") or ()]
        if node["ref_type"] == "NATURAL":
            theirs = {name.lower() for _, name, _ in right.outputs}
            using = [name.lower() for _, name, _ in left.outputs if name.lower() in theirs]
        pairs = tuple((_using(left, name, node), _using(right, name, node)) for name in using)
        known = left.known + right.known
        both = Relation(
            left.outputs + right.outputs,
            known=known,
            ids=left.ids | right.ids,
            merged={**left.merged, **right.merged},
            paths={**left.paths, **right.paths},
        )
        nearest = node["ref_type"] == "ASOF" and len(pairs) > 0  # by its last column, which is not equated
        for one, two in pairs[:-1] if nearest else pairs:
            known += self._equated(one, two)
        known += self._condition(node.get("condition"), [both, *scopes], ctes, Context())
        if both.depends:
            raise Refused("a subquery in a join's condition is not understood", node, fix="move it into WHERE")
        ids = next(self._ids), next(self._ids)
        return Join(self.reasoning, left, right, known, tuple(using), pairs, ids, node)

    # -- conditions

    def _condition(self, node: Node | None, scopes: Scopes, ctes: Ctes, context: Context) -> Known:
        """Check a condition, and return what holds where it is true."""
        if node is None:
            return Known()
        if node.get("type") == "CONJUNCTION_AND":
            known = Known()
            for child in node["children"]:
                known += self._condition(child, scopes, ctes, context)
            return known
        if node.get("class") == "SUBQUERY" and node.get("subquery_type") == "ANY":
            self._subquery(node, scopes, ctes, context, is_condition=True)
            return Known()
        if node.get("type") in ("COMPARE_EQUAL", "COMPARE_NOT_DISTINCT_FROM"):
            left = self._scalar(node["left"], scopes, ctes, context)
            return self._equated(left, self._scalar(node["right"], scopes, ctes, context))
        value = self._scalar(node, scopes, ctes, context)
        if isinstance(value, Call) and value.name == "operator_is_not_null":
            return Known(filled=frozenset(_filled_with(value.arguments[0])))
        return Known()

    def _equated(self, one: Expression, two: Expression) -> Known:
        known = self.reasoning.pair(one, two)
        self.equated += known.equal
        return known

    def _subquery(
        self, node: Node, scopes: Scopes, ctes: Ctes, context: Context, *, is_condition: bool = False
    ) -> Opaque:
        """Return the value of a subquery in an expression, which must equate what it reads with its row's partition.

        `x IN (SELECT y ...)`, as a condition of its own, equates x and y. NOT IN does not: a NULL that the cut
        takes away changes every row.
        """
        inner = self.query(node["subquery"]["node"], ctes, scopes)
        known = inner.known
        if node.get("child"):
            child = self._scalar(node["child"], scopes, ctes, context)
            is_in = node["subquery_type"] == "ANY" and node.get("comparison_type") == "COMPARE_EQUAL"
            if is_condition and is_in:
                known += self._equated(child, inner.outputs[0][2])
        outer = scopes[0]
        for dependency in inner.depends:
            tags = self.reasoning.rewritten(dependency, known + outer.known, lambda origin: origin not in inner.ids)
            if not tags:
                source = self.reasoning.source_of(dependency)
                fix = f"equate its partition with that of the outer query in its WHERE; or {WHOLE}"
                raise Refused(f"a subquery reads other partitions of {source or 'a source'}", node, source, fix)
            outer.depend([tags])
        outer.back = max(outer.back, inner.back)
        return self._opaque("a subquery", outer)

    # -- expressions

    def _scalar(self, node: Node, scopes: Scopes, ctes: Ctes, context: Context) -> Expression:
        """Return the value of an expression; windows and subqueries in it are checked against scopes[0] on the way."""
        value = self._value(node, scopes, ctes, context)
        return context.replaced.get(value, value)

    def _value(self, node: Node, scopes: Scopes, ctes: Ctes, context: Context) -> Expression:
        self.budget.take()
        kind = node.get("class")
        if kind == "COLUMN_REF":
            return resolve(node, scopes, context, self._opaque)
        if kind == "CONSTANT":
            return _constant(node)
        if kind == "CAST":
            return self._cast(node, scopes, ctes, context)
        if kind == "LAMBDA" and node.get("syntax_type") != "LAMBDA_KEYWORD":
            fix = "write `lambda x: ...`, or json_extract() with its path"  # the parser cannot tell the two apart
            raise Refused("the arrow -> is not understood", node, fix=fix)
        if kind == "LAMBDA":
            parameters = {n["column_names"][0].lower() for n in nodes(node["lhs"]) if n.get("class") == "COLUMN_REF"}
            return self._scalar(node["expr"], scopes, ctes, context.binding(parameters))
        if kind == "WINDOW":
            return self._window(node, scopes, ctes, context)
        if kind == "SUBQUERY":
            return self._subquery(node, scopes, ctes, context)
        if kind == "FUNCTION":
            return self._function(node, scopes, ctes, context)
        if kind not in _SCALARS:
            raise Refused(f"{_word(kind or 'something')} is not understood", node)
        parts = tuple(self._scalar(part, scopes, ctes, context) for part in _operands(node))
        return Call("coalesce" if node["type"] == "OPERATOR_COALESCE" else node["type"].lower(), parts)

    def _cast(self, node: Node, scopes: Scopes, ctes: Ctes, context: Context) -> Expression:
        value = self._scalar(node["child"], scopes, ctes, context)
        kind = self._type_named(node["type_expr"])
        if kind == UNKNOWN:
            return self._opaque("a cast", scopes[0])
        cast = Call(f"try_{kind}", (value,)) if node.get("try_cast") else Cast(kind, value)
        return self.reasoning.canonical(cast)

    def _type_named(self, node: Node) -> str:
        if node.get("class") != "TYPE":
            return UNKNOWN
        sizes = [str((child.get("literal") or {}).get("text", UNKNOWN)) for child in node.get("children") or ()]
        if UNKNOWN in sizes:
            return UNKNOWN
        suffix = f"({', '.join(sizes)})" if sizes else ""
        try:
            return self.engine.type_of(f"NULL::{node['type_name']}{suffix}")
        except BoathouseError:
            return UNKNOWN

    def _function(self, node: Node, scopes: Scopes, ctes: Ctes, context: Context) -> Expression:
        name = node["function_name"].lower()
        arguments = [argument.get("expression", argument) for argument in node.get("arguments") or ()]
        if self._aggregates(name):
            return self._aggregate(node, name, arguments, scopes, ctes, context)
        values = [self._scalar(argument, scopes, ctes, context) for argument in arguments]
        if name == "unnest":
            self._check_unnested(node, arguments, values)
            return self._opaque("unnest()", scopes[0])
        named = (Constant(argument["name"], "NAME") for argument in node["arguments"] if argument.get("name"))
        return self.reasoning.canonical(Call(name, (*values, *named)))

    def _check_unnested(self, node: Node, arguments: Sequence[Node], values: Sequence[Expression]) -> None:
        """Refuse to unnest what may be a struct: it gives columns whose names are not known."""
        is_list = str(arguments[0].get("function_name", "")).lower() in _LIST_FUNCTIONS
        if len(arguments) != 1 or not (is_list or self.reasoning.type_of(values[0]).endswith("[]")):
            raise Refused("unnest() of what may be no list is not understood", node)

    def _aggregate(
        self, node: Node, name: str, arguments: Sequence[Node], scopes: Scopes, ctes: Ctes, context: Context
    ) -> Expression:
        if any(argument.get("class") == "STAR" for argument in arguments):
            raise Refused("a star in an aggregate is not understood", node, fix="name the columns")
        extra = [node["filter"]] if node.get("filter") else []
        extra += [order["expression"] for order in (node.get("order_bys") or {}).get("orders", ())]
        values = [self._scalar(argument, scopes, ctes, context) for argument in (*arguments, *extra)]
        scope = scopes[0]
        of_one = name in _SAME_IN_A_GROUP and len(values) == 1 and context.keys and origins(values[0]) & scope.ids
        if of_one and self.reasoning.is_determined(values[0], context.keys, scope.known, scope.ids):
            return values[0]
        return self._opaque(f"{name}()", scope)

    def _window(self, node: Node, scopes: Scopes, ctes: Ctes, context: Context) -> Opaque:
        inner, scope = context.in_window(), scopes[0]
        keys = [self._scalar(key, scopes, ctes, inner) for key in node["partitions"]]
        orders = [self._scalar(order["expression"], scopes, ctes, inner) for order in node["orders"]]
        others = [one["expression"] for key in ("arguments", "arg_orders") for one in node.get(key) or ()]
        keys_of_one = ("filter_expr", "start_expr", "end_expr", "offset_expr", "default_expr")
        others += [node[key] for key in keys_of_one if node.get(key)]
        for other in others:
            self._scalar(other, scopes, ctes, inner)
        self._check_window(node, keys, orders, scope)
        return self._opaque(f"{node['function_name']}() over a window", scope)

    def _check_window(
        self, node: Node, keys: Sequence[Expression], orders: Sequence[Expression], scope: Relation
    ) -> None:
        name = node["function_name"]
        names = ", ".join(column for column, _ in self.partition)
        fix = f"PARTITION BY {names} in the window; or {WHOLE}"
        try:
            self._check_together(scope, keys, f"the window of {name}()", node, fix)
        except Refused as refused:
            if not self.lookback or len(self.partition) != 1:
                raise
            aggregates, alone = self.engine.functions.aggregates, len(self.cuts) == 1
            why = looking_back.uncovered_window(
                node, keys, orders, scope, self.lookback, self.reasoning, aggregates, alone=alone
            )
            if why:
                what = f"lookback {self.lookback} does not cover {name}(): {why}"
                raise Refused(what, node, refused.source, WHOLE) from None
            rows = looking_back.window_rows(node, aggregates)
            scope.windows_back = max(scope.windows_back, scope.back + rows)  # windows of one SELECT do not add up

    def _opaque(self, what: str, scope: Relation) -> Opaque:
        """Return a new value of which nothing is known."""
        value = Opaque(next(self._ids), what)
        scope.ids.add(value.id)
        return value


def parse(engine: DuckEngine, sql: str) -> Node:
    """Return the query of a statement, as DuckDB's own parser reads it.

    Raises:
        Refused: it is not one SELECT.
    """
    try:
        query: Node = engine.parse(sql)["statements"][0]["node"]
    except ContractError as error:
        raise Refused(f"it is not one plain SELECT: {error.what}") from None
    return query


def _constant(node: Node) -> Constant:
    literal = node.get("literal") or {}
    if "kind" not in literal:
        raise Refused("a constant is not understood", node)
    return NULL if literal["kind"] == NULL.kind else Constant(str(literal.get("text", "")), literal["kind"])


def _operands(node: Node) -> list[Node]:
    """Return the expressions that an operator, a comparison or a CASE is made of, in their order."""
    found: list[Node] = []
    for value in node.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                nested = [one for one in part.values() if isinstance(one, Mapping) and "class" in one]
                found += [part] if "class" in part else nested
    return found


def _filled_with(expression: Expression) -> Iterator[Expression]:
    """Yield the expressions that are not NULL where this one is not: itself, and what it casts or truncates."""
    yield expression
    if isinstance(expression, Cast):
        yield from _filled_with(expression.inner)
    elif unit := calendar(expression):
        yield from _filled_with(unit[2])


def _using(relation: Relation, name: str, node: Node) -> Expression:
    if name in relation.merged:
        return relation.merged[name]
    found = [value for _, other, value in relation.outputs if other.lower() == name]
    if not found:
        raise Refused(f"the name {name} is not understood", node)
    return found[0]


def _groups_by_all(node: Node) -> bool:
    return bool(node["aggregate_handling"] == "FORCE_AGGREGATES")


def _has_query_or_window(tree: object) -> bool:
    return any(node.get("class") in ("WINDOW", "SUBQUERY") for node in nodes(tree))


def _word(kind: str) -> str:
    return kind.removesuffix("_NODE").replace("_", " ").lower()
