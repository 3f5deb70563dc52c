"""A value becomes exactly what the contract says, or a reason; never something in between.

Builds the SELECT that turns a feed's text into a table's typed columns. Nothing is rounded, cut
short or guessed: what cannot be read without loss is a reason, and the row goes to quarantine.

Beside the source's columns stand helper columns. Their names begin with a prefix with which no name of the source
begins (`helper_prefix`), so that no file can take a helper's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from src.checks import rules
from src.contract import PROVENANCE, Column, Feed, Table, place_of
from src.engine import DuckEngine, SqlMistake, identifier, literal
from src.errors import ContractError, DataError, nearest
from src.silver import exact, nested
from src.silver.advice import logic, name_in_sql
from src.silver.blanks import valued

_ADDED = {*PROVENANCE, "_batch"}  # what bronze adds to a file's columns, as far as a projection sees it
REASONS = "_reasons"  # of rules.CODED, NULL for a row that passes
CODES = "_codes"  # VARCHAR[], beside the reasons of a rejected row: one for each
VALUES = "_values"  # the source values as JSON text, for rows that do not pass


def helper_prefix(names: Iterable[str]) -> str:
    """Return a text with which none of these names begins: whatever begins with it is a helper column."""
    return "~" * (1 + max((len(name) - len(name.lstrip("~")) for name in names), default=0))


def source_column(prefix: str) -> str:
    """Return the name of the helper column that holds a row's source values as they were."""
    return f"{prefix}source"


def shown_values(prefix: str) -> str:
    """Return SQL of a row's source values as JSON text.

    It is without the values a row does not have: a column that another file brings must not change what is kept of it.
    """
    return f"json_merge_patch('{{}}', to_json({identifier(source_column(prefix))}))::VARCHAR"


def id_column(prefix: str) -> str:
    """Return the name of the helper column that holds a row's number, where rows have one."""
    return f"{prefix}id"


def trimmed(
    source: str, columns: Sequence[str], null_values: Sequence[str] = (), row_id: str = "", *, brief: bool = False
) -> str:
    """Return a bronze relation without outer blanks, the values as they were in a helper column.

    Empty text is NULL, and so is what the feed says means nothing. `row_id`: the column of the rows' numbers, to keep;
    `brief`: in short SQL, for few rows.
    """
    values = [f"{valued(identifier(name), null_values, brief=brief)} AS {identifier(name)}" for name in columns]
    record = ", ".join(f"{literal(name)}: {identifier(name)}" for name in columns)
    as_they_were = identifier(source_column(helper_prefix(columns)))
    kept = ["_file", "_row", "_ingested_at", "_batch", f"{{{record}}} AS {as_they_were}"]
    kept += [identifier(row_id)] if row_id else []
    return f"SELECT {', '.join([*values, *kept])} FROM {source} WHERE _reject IS NULL"


def trimmed_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return the columns of what `trimmed` returns, and their types."""
    as_they_were = source_column(helper_prefix(columns))
    record = f"STRUCT({', '.join(f'{identifier(name)} VARCHAR' for name in columns)})"
    return dict.fromkeys(columns, "VARCHAR") | PROVENANCE | {"_batch": "VARCHAR", as_they_were: record}


def projection(
    engine: DuckEngine,
    table: Table,
    relation: str,
    prefix: str,
    feed: Feed | None = None,
    untried: str = "",
    columns: Sequence[Column] | None = None,
    kinds: Mapping[str, str] | None = None,
    row_id: str = "",
) -> str:
    """Return a SELECT of the table's columns, typed, with provenance, reasons and source values.

    `relation` is a SELECT with the raw columns, _file, _row, _ingested_at, _batch and `source_column(prefix)`;
    `prefix` is that of the raw columns' names; `feed` says how its numbers are written. `untried` names a
    column whose expression may fail the statement. `columns` are those to keep and judge, where the table's others
    are there only for their expressions; `kinds` the types of the relation's columns, where they are known; `row_id` is
    a column of the relation to keep.

    Raises:
        ContractError: an expression names a column that is not there, or does not parse.
    """
    columns = table.columns if columns is None else columns
    names = _names_in(engine, table)
    kinds = engine.columns(relation) if kinds is None else kinds
    sql = _typed(engine, table, names, relation, kinds, prefix, feed, untried, judged="why")
    failures = [
        failure
        for column in columns
        for failure in _failures(column, sorted(names.own[column.name]), prefix, column.name in table.partition_by)
    ]
    failures += _without_place(table)
    has_failed, shown = identifier(f"{prefix}failed"), shown_values(prefix)
    failed = " OR ".join(f"({rule.test})" for rule in failures) or "false"
    reasons = ", ".join(f"CASE WHEN {rule.test} THEN {rules.coded(rule.code, rule.reason)} END" for rule in failures)
    return (
        f"SELECT {', '.join(identifier(column.name) for column in columns)}, {', '.join(PROVENANCE)}, _batch, "
        f"{f'{identifier(row_id)}, ' if row_id else ''}"
        f"CASE WHEN {has_failed} THEN list_filter([{reasons}]::{rules.CODED}, lambda reason: reason IS NOT NULL) END "
        f"AS {REASONS}, "
        f"CASE WHEN {has_failed} THEN {shown} END AS {VALUES} FROM (SELECT *, {failed} AS {has_failed} FROM ({sql}))"
    )


def doubted(
    engine: DuckEngine, table: Table, relation: str, prefix: str, feed: Feed, kinds: Mapping[str, str] | None
) -> str:
    """Return a SELECT like that of `projection`, half as long to plan; a row that may not pass has an empty list.

    So it has doubts of some that do pass. Where it has none, what it returns is what `projection` would; where it has
    one, its rows are good for nothing.

    Raises:
        ContractError: an expression names a column that is not there, or does not parse.
    """
    kinds = engine.columns(relation) if kinds is None else kinds
    names = _names_in(engine, table)
    sql = _typed(engine, table, names, relation, kinds, prefix, feed, "", judged="whether")
    doubts = [_doubt(level, prefix) for level in _levels(table, names)]
    for column in table.columns:
        doubts += [f"{identifier(column.name)} IS NULL"] if column.required else []
        doubts += [f"({rule.test})" for rule in _of_value(column, column.name in table.partition_by)]
    doubts += [f"({rule.test})" for rule in _without_place(table)]
    kept = ", ".join(map(identifier, [*(column.name for column in table.columns), *PROVENANCE, "_batch"]))
    reasons = f"CASE WHEN {' OR '.join(doubts)} THEN []::{rules.CODED} END AS {REASONS}"
    return f"SELECT {kept}, {reasons}, NULL::VARCHAR AS {VALUES} FROM ({sql})"


def unjudged(
    engine: DuckEngine,
    table: Table,
    relation: str,
    prefix: str,
    feed: Feed,
    kinds: Mapping[str, str] | None,
    row_id: str,
) -> str:
    """Return a SELECT of the columns of `projection`, without reasons and source values, of rows that pass.

    What it makes of other rows is no value that a table may hold.

    Raises:
        ContractError: an expression names a column that is not there, or does not parse.
    """
    kinds = engine.columns(relation) if kinds is None else kinds
    sql = _typed(engine, table, _names_in(engine, table), relation, kinds, prefix, feed, "", judged="not")
    names = ", ".join(map(identifier, [*(column.name for column in table.columns), *PROVENANCE, "_batch", row_id]))
    return f"SELECT {names} FROM ({sql})"


def _typed(
    engine: DuckEngine,
    table: Table,
    names: _Names,
    relation: str,
    kinds: Mapping[str, str],
    prefix: str,
    feed: Feed | None,
    untried: str,
    *,
    judged: _Judged,
) -> str:
    """Return a SELECT that adds the table's columns to a relation, and what `judged` asks for; see `_typed_level`."""
    sql = relation
    for level in _levels(table, names):
        sql, kinds = _typed_level(engine, table, level, sql, kinds, prefix, feed, untried, judged=judged)
    return sql


# -- expressions in the order they need each other


@dataclass(frozen=True)
class _Names:
    """The meanings of the names in each column's expression.

    A name means the table's own column where there is one, else the file's. Where that column is made of the file's
    column of the same name (`day: make_date(year, month, day)`), the name means the file's in all expressions.
    """

    own: Mapping[str, set[str]]  # by column: the table's columns that its expression reads
    hidden_by: Mapping[str, set[str]]  # by column: who reads the file's column that is hidden once it is there


def _names_in(engine: DuckEngine, table: Table) -> _Names:
    names = {column.name: _written(engine, table, column) for column in table.columns}
    made = {c.name for c in table.columns if c.hides_its_source(engine.column_names)}
    known = set(names)
    own: dict[str, set[str]] = {}
    hidden_by: dict[str, set[str]] = {name: set() for name in names}
    for column, written in names.items():
        own[column] = ({name.lower() for name in written - made} & known) - {column}
        for name in (written & made) - {column}:
            hidden_by[name].add(column)
    return _Names(own, hidden_by)


def _levels(table: Table, names: _Names) -> list[list[Column]]:
    """Return the columns in levels: each needs only the file's columns, none of them hidden yet, and earlier levels."""
    levels: list[list[Column]] = []
    done: set[str] = set()
    left = list(table.columns)
    while left:
        ready = [column for column in left if names.own[column.name] <= done]
        while early := [c for c in ready if names.hidden_by[c.name] - done - {column.name for column in ready}]:
            ready = [column for column in ready if column not in early]
        if not ready:
            raise ContractError(
                f"transformLogic goes in a circle: {', '.join(column.name for column in left)} need each other",
                where=table.path,
                fix="let one of them read the source's columns",
            )
        levels.append(ready)
        done |= {column.name for column in ready}
        left = [column for column in left if column not in ready]
    return levels


def reduced(engine: DuckEngine, table: Table, names: Iterable[str]) -> Table:
    """Return the table with these columns and those that their expressions read alone, and without a sequence."""
    own, needed, left = _names_in(engine, table).own, set[str](), list(names)
    while left:
        if (name := left.pop()) not in needed:
            needed.add(name)
            left += own[name]
    return replace(table, columns=tuple(c for c in table.columns if c.name in needed), sequence_by=())


def names_of(engine: DuckEngine, table: Table, names: Sequence[str]) -> list[str]:
    """Return those of a file's columns that the table's expressions use; its first one where they use none."""
    used = {name.lower() for column in table.columns for name in _written(engine, table, column)}
    return [name for name in names if name.lower() in used] or list(names[:1])


def absent(engine: DuckEngine, table: Table, names: Iterable[str]) -> list[str]:
    """Return the columns that are not among a file's, and that only optional columns of the table read."""
    own = _names_in(engine, table).own
    read = {column: _written(engine, table, column) for column in table.columns}
    known = {name.lower() for name in (*names, *_ADDED)}
    known |= {name.lower() for column, all_names in read.items() if not column.optional for name in all_names}
    found: dict[str, str] = {}
    for column in table.columns:
        for name in read[column] if column.optional else ():
            if name.lower() not in known | own[column.name]:
                found.setdefault(name.lower(), name)
    return list(found.values())


def _written(engine: DuckEngine, table: Table, column: Column) -> set[str]:
    """Return the names in a column's expression, as they are written there."""
    if column.expression is None:
        return {column.name}
    try:
        return engine.column_names(column.expression)
    except ContractError as error:
        raise _in_column(table, column, error.what) from None


def _in_column(table: Table, column: Column, what: str, fix: str | None = None) -> ContractError:
    return ContractError(
        f"transformLogic of {column.name}: {what}",
        where=place_of(table.path, table.name, "transformLogic", column.name),
        fix=fix
        or f'correct the expression {column.expression!r}; a name that is an SQL keyword goes in "double quotes"',
    )


@dataclass(frozen=True)
class _Reading:
    """The SQL of one column: its value, when it failed to compute, and what to show then."""

    column: Column
    value: str
    kind: str
    broken: str
    shown: str
    prefix: str

    @property
    def is_json(self) -> bool:
        """Return whether the value is the JSON text of a list or an object, which is read part by part."""
        return bool(self.column.parts) and self.kind == "VARCHAR"

    @property
    def cast(self) -> str:
        if self.is_json:
            return nested.typed(self.name_of("texts"), self.column)
        if self.column.read_as in (self.kind, "JSON"):
            return self.value
        return exact.cast(self.value, self.kind, self.column.read_as)

    @property
    def typed(self) -> str:
        """Return the cast value, under the name by which it is read again."""
        return self.value if self.cast == self.value else identifier(f"{self.prefix}={self.column.name}")

    @property
    def stored(self) -> str:
        return nested.value(self.typed, self.column) if self.is_json else exact.stored(self.typed, self.column.read_as)

    @property
    def kept(self) -> str:
        """Return the stored value where no reason speaks against it."""
        return f"CASE WHEN {self.reason} IS NULL THEN {self.stored} END"

    def name_of(self, step: str) -> str:
        """Return the name of a column that is only there on the way to the value."""
        return identifier(f"{self.prefix}{step} {self.column.name}")

    @property
    def reason(self) -> str:
        """Return the name of the column that says why the value could not be had."""
        return identifier(f"{self.prefix}?{self.column.name}")


_Judged = Literal["why", "whether", "not"]


def _typed_level(
    engine: DuckEngine,
    table: Table,
    level: Sequence[Column],
    relation: str,
    available: Mapping[str, str],
    prefix: str,
    feed: Feed | None,
    untried: str,
    *,
    judged: _Judged,
) -> tuple[str, dict[str, str]]:
    """Return a SELECT that adds a level's columns to a relation, and its columns and types.

    `available` are the relation's columns and types. `judged`: why, each has its reason, and no value where there is
    one; whether, the level has a doubt, true for a row of which not all values are surely right; or not.
    """
    spelled = {name.lower(): name for name in available}
    null_values = feed.null_values if feed else ()
    computed: list[str] = []
    readings: list[_Reading] = []
    plain_name = {column.name: spelled.get(_source(column).strip().strip('"').lower()) for column in level}
    made_kinds = _kinds(engine, table, [column for column in level if not plain_name[column.name]], available, prefix)
    for column in level:
        expression = _source(column)
        if plain := plain_name[column.name]:
            value, kind = _as_read(identifier(plain), available[plain], column)
            shown = f"{identifier(plain)}::VARCHAR"
            readings.append(_Reading(column, value, kind, "false", shown, prefix))
            continue
        kind = made_kinds[column.name]
        holder = identifier(f"{prefix}:{column.name}")
        value, kind = _as_read(f"{holder}.v", kind, column)
        made = f"{{'v': {expression}}}"
        computed.append(f"{made if column.name == untried else f'TRY({made})'} AS {holder}")
        shown = _inputs(engine.column_references(expression), spelled)
        readings.append(_Reading(column, value, kind, f"{holder} IS NULL", shown, prefix))
    if computed:
        relation = f"SELECT *, {', '.join(computed)} FROM ({relation})"
    hidden = [name for name in available if name.lower() in {column.name.lower() for column in level}]
    hidden += [f"{prefix}:{reading.column.name}" for reading in readings if reading.broken != "false"]
    if feed and (feed.decimal, feed.thousands) != (Feed.decimal, Feed.thousands):
        rewritten = {reading: _rewritten(reading, feed) for reading in readings if _is_numeric_text(reading)}
        texts = [f"{text} AS {reading.value}" for reading, text in rewritten.values()]
        relation = f"SELECT {', '.join(['*', *texts])} FROM ({relation})"
        hidden += [f"{prefix}#{reading.column.name}" for reading in rewritten]
        readings = [rewritten[reading][0] if reading in rewritten else reading for reading in readings]
    in_parts = [reading for reading in readings if reading.is_json]
    if in_parts:
        found = [f"{nested.raw(r.value, r.column)} AS {r.name_of('raw')}" for r in in_parts]
        read = [f"{nested.texts(r.name_of('raw'), r.column, null_values)} AS {r.name_of('texts')}" for r in in_parts]
        relation = f"SELECT *, {', '.join(read)} FROM (SELECT *, {', '.join(found)} FROM ({relation}))"
        hidden += [f"{prefix}{step} {reading.column.name}" for step in ("raw", "texts") for reading in in_parts]
    # levels of their own, or the engine casts and judges every value twice: for the value, and for the reason
    casts = [f"{reading.cast} AS {reading.typed}" for reading in readings if reading.cast != reading.typed]
    if casts:
        relation = f"SELECT *, {', '.join(casts)} FROM ({relation})"
        hidden += [f"{prefix}={reading.column.name}" for reading in readings if reading.cast != reading.typed]
    if judged == "why":
        relation = f"SELECT *, {', '.join(map(_judged, readings))} FROM ({relation})"
    if judged == "whether":
        doubt = " OR ".join(f"({test})" for test in map(_doubted, readings) if test != "false") or "false"
        relation = f"SELECT *, {doubt} AS {_doubt(level, prefix)} FROM ({relation})"
    rest = f"* EXCLUDE ({', '.join(map(identifier, hidden))})" if hidden else "*"
    values = [f"{r.kept if judged == 'why' else r.stored} AS {identifier(r.column.name)}" for r in readings]
    kinds = {name: kind for name, kind in available.items() if name not in hidden}
    kinds |= {column.name: column.type for column in level}
    kinds |= {f"{prefix}?{column.name}": "VARCHAR" for column in level} if judged == "why" else {}
    return f"SELECT {rest}, {', '.join(values)} FROM ({relation})", kinds


def _source(column: Column) -> str:
    """Return the expression of a column: without one, it is the file's column of its name."""
    return column.expression or column.name


def _kinds(
    engine: DuckEngine, table: Table, columns: Sequence[Column], available: Mapping[str, str], prefix: str
) -> dict[str, str]:
    """Return the types of columns' expressions, by the columns' names.

    Raises:
        ContractError: the first that does not fit.
    """
    if len(columns) > 1:
        with suppress(ContractError, DataError):  # which would not say whose it is
            found = engine.types_over([_source(column) for column in columns], available, prefix)
            if len(found) == len(columns):
                return dict(zip((column.name for column in columns), found, strict=True))
    return {column.name: _kind(engine, table, column, _source(column), available, prefix) for column in columns}


def _kind(
    engine: DuckEngine, table: Table, column: Column, expression: str, available: Mapping[str, str], prefix: str
) -> str:
    try:
        return engine.types_over([expression], available, prefix)[0]
    except (ContractError, DataError) as error:  # of the latter: a format that is none, say, in any row
        seen = [name for name in available if name not in _ADDED and not name.startswith(prefix)]
        names = {name.lower() for name in seen}
        if missing := [name for name in sorted(engine.column_names(expression)) if name.lower() not in names]:
            raise _missing(engine, table, column, missing, seen) from None
        fix = f"correct the file or `transformLogic`; the columns there are: {', '.join(seen)}"
        fix = f"{error.fix} {fix}" if isinstance(error, SqlMistake) and error.fix else fix
        raise _in_column(table, column, f"{error.what}, in `{expression}`", fix) from None


def _missing(
    engine: DuckEngine, table: Table, column: Column, missing: Sequence[str], seen: Sequence[str]
) -> ContractError:
    """Return the error of a column whose source is not in the feed's files; names all others of which that is true."""
    names = {name.lower() for name in seen}
    others = [c.name for c in table.columns if c.expression is None and c is not column and c.name not in names]
    read = ", ".join(dict.fromkeys([*missing, *others]))
    of = f"transformLogic of {column.name}: " if column.expression else ""
    near = {name: other for name in missing if (other := nearest(name, seen))}
    found = ", ".join(f"is it {name_in_sql(engine, other)}?" for other in near.values())
    fix = "name the columns as the files do, or correct the files"
    if near and column.expression is None:
        fix = f"{found} {logic(column, name_in_sql(engine, near[column.name]))}"
    elif near:
        fix = f"{found} {fix}"
    there = ", ".join(name_in_sql(engine, name) for name in seen)
    key = "transformLogic" if column.expression else "name"
    what = f"{of}no file has a column {read}; the columns there are: {there}"
    return ContractError(what, where=place_of(table.path, table.name, key, column.name), fix=fix)


def _as_read(value: str, kind: str, column: Column) -> tuple[str, str]:
    """Return SQL of a value and its type: what is not read as it is, is read as its text is."""
    wanted = column.read_as
    if kind in (wanted, "VARCHAR"):
        return value, kind
    if column.parts or wanted == "JSON":
        return (f"{value}::VARCHAR" if kind == "JSON" else f"(to_json({value})::VARCHAR)"), "VARCHAR"
    if kind == "JSON" and wanted != "VARCHAR":
        return f"({value} ->> '$')", "VARCHAR"
    return (f"({value}::VARCHAR)", "VARCHAR") if wanted == "TIME" else (value, kind)


def _inputs(references: set[str], spelled: Mapping[str, str]) -> str:
    """Return SQL text that shows the values an expression was given."""
    names = sorted(spelled[name] for name in references if name in spelled)
    parts = [f"{literal(name + '=')} || coalesce({identifier(name)}::VARCHAR, 'nothing')" for name in names]
    return "concat_ws(', ', " + ", ".join(parts or ["'no input'"]) + ")"


def _is_numeric_text(reading: _Reading) -> bool:
    return reading.kind == "VARCHAR" and exact.is_number(reading.column.type)


def _rewritten(reading: _Reading, feed: Feed) -> tuple[_Reading, str]:
    """Return the reading of a number's text as usually written, and SQL of that text, which stands under its name."""
    name = identifier(f"{reading.prefix}#{reading.column.name}")
    broken = f"({reading.broken}) OR ({reading.value} IS NOT NULL AND {name} IS NULL)"
    return replace(reading, value=name, broken=broken), exact.plain_number(reading.value, feed.decimal, feed.thousands)


def _judged(reading: _Reading) -> str:
    """Return SQL of the reason why a value could not be had, under its name; NULL where it could."""
    if reading.is_json:
        unread = nested.reason(reading.value, reading.typed, reading.column)
        return f"CASE WHEN {reading.broken} THEN {_reason(reading)} ELSE {unread} END AS {reading.reason}"
    return f"CASE WHEN {_bad(reading, exact.is_kept)} THEN {_reason(reading)} END AS {reading.reason}"


def _doubt(level: Sequence[Column], prefix: str) -> str:
    """Return the name of the column that says whether a value of a level may not be right."""
    return identifier(f"{prefix}doubt {level[0].name}")


def _doubted(reading: _Reading) -> str:
    """Return SQL that is true where a value could not be had, or may not be right; it is never NULL."""
    if reading.is_json:
        unread = nested.reason(reading.value, reading.typed, reading.column)
        return f"{reading.broken} OR ({unread}) IS NOT NULL"
    return _bad(reading, exact.is_surely_kept)


def _bad(reading: _Reading, is_kept: Callable[[str, str, str, str], str]) -> str:
    """Return SQL that is true where a value could not be had; `is_kept` gives SQL that is true where it is right."""
    kept = is_kept(reading.value, reading.typed, reading.kind, reading.column.read_as)
    tests = [] if reading.broken == "false" else [reading.broken]
    tests += [] if kept == "true" else [f"({reading.value} IS NOT NULL AND NOT coalesce({kept}, false))"]
    return " OR ".join(tests) or "false"


def _reason(reading: _Reading) -> str:
    """Return SQL text that says why a value could not be had."""
    column = reading.column
    if reading.is_json:
        return f"{literal(f'{column.name}: cannot read ')} || left({reading.shown}, 200)"
    return exact.complaint(literal(column.name), reading.shown, reading.value, reading.typed, reading.kind, column)


# -- what makes a row fail


def _failures(column: Column, inputs: Sequence[str], prefix: str, partitioned: bool) -> list[rules.RowRule]:
    """Return everything that is asked of a column.

    `inputs` are the table's columns that its expression reads: where one of these is bad, that a
    value is missing here says nothing new.
    """
    name, unread = identifier(column.name), identifier(f"{prefix}?{column.name}")
    found = [rules.RowRule(f"{unread} IS NOT NULL", unread, f"type:{column.name}")]
    if column.required:
        read = " AND ".join(f"{identifier(f'{prefix}?{other}')} IS NULL" for other in (column.name, *inputs))
        nothing = literal(f"{column.name}: required, but there is nothing")
        found.append(rules.RowRule(f"{name} IS NULL AND {read}", nothing, f"required:{column.name}"))
    return found + _of_value(column, partitioned)


def _of_value(column: Column, partitioned: bool) -> list[rules.RowRule]:
    """Return what is asked of a column's value once it is there."""
    folders = [rules.no_folder(column)] if partitioned and column.type == "VARCHAR" else []
    return folders + rules.broken(column)


def _without_place(table: Table) -> list[rules.RowRule]:
    """Return what is asked of a row's columns as they are stored: that it has a place in the sequence."""
    return [
        rules.RowRule(
            f"TRY({{'v': {text}}}) IS NULL", literal(f"sequenceBy: cannot compute {text}"), f"sequence:{text}"
        )
        for text in table.sequence_expressions
    ]
