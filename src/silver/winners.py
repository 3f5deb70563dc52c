"""One row per key: by sequence, ties by content and never by arrival; without a sequence the later arrival wins.

A row that says its key is gone wins a tie, as a change and a deletion of one moment leave nothing.

Works on the temporary table `incoming`, the typed rows of a batch. Only keys that occur twice are
looked at closely, so that wide rows never enter a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from src.checks import rules
from src.checks.outcome import Outcome
from src.checks.sameness import repeated
from src.contract import Table
from src.engine import MANY_COLUMNS, DuckEngine, identifier, literal
from src.silver.batch import Batch

_ARRIVAL = ("_ingested_at", "_file", "_row")
_ROWS_AT_ONCE = 4_000_000
_FEW_ROWS = 5_000  # all of them are ranked, also those whose key occurs once: to tell these takes longer
_BYTES_A_HASH = 100  # of memory, where hashes alone are grouped: a quarter of it is what 10 million took


def key(table: Table) -> tuple[str, ...]:
    """Return the columns that make a row itself; all of them where the contract names no key.

    With history each version is a row, so that the sequence belongs to it.
    """
    if table.history == "scd2":
        return (*table.key, *table.sequence_by)
    return table.key or tuple(column.name for column in table.columns)


def duplicate_keys(engine: DuckEngine, table: Table, relation: str, rows: int) -> int:
    """Return how many keys more than one row of a relation, of about so many rows, has."""
    return repeated(engine, relation, key(table), rows)


def find_losers(engine: DuckEngine, table: Table, sound: str, rows: int) -> tuple[Outcome, bool]:
    """List the rows of `incoming`, about so many, that lose against another of their key in the table `losers` (_id).

    Only rows for which `sound`, an SQL condition, is true contend. Returns how many lost, and to what; a note names
    keys in conflict. Returns also whether any are listed: where no key occurs twice there is no such table, and of few
    rows that a sequence orders the losers are taken out of `incoming` at once.
    """
    whole = f"SELECT rowid AS _id, * FROM {Batch.INCOMING}"

    def whole_rows(ids: str) -> str:
        return f"({whole} WHERE rowid IN ({ids}))"

    if rows <= _FEW_ROWS:
        shared, ordered = _repeated(engine, table, sound)
        if not shared:
            return Outcome(), False
        if ordered:
            names, newest = ", ".join(map(identifier, key(table))), _newest_first(table)
            nth = f"row_number() OVER (PARTITION BY {names} ORDER BY {newest})"
            placed = f"SELECT rowid AS _id, {nth} AS _place FROM {Batch.INCOMING} WHERE {sound}"
            older = f"SELECT _id FROM ({placed}) WHERE _place > 1"
            return Outcome(superseded=engine.delete(Batch.INCOMING, f"rowid IN ({older})")), False
        all_rows = f"(SELECT rowid AS _id, {', '.join(narrow(table))} FROM {Batch.INCOMING} WHERE {sound})"
        return rank(engine, table, all_rows, rows, whole_rows), True
    if not find_shared_keys(engine, table, [(f"{Batch.INCOMING} WHERE {sound}", rows)]):
        return Outcome(), False
    near = f"SELECT rowid AS _id, {', '.join(narrow(table))} FROM {Batch.INCOMING} WHERE {sound} AND {is_shared(table)}"
    contenders = engine.table(Batch.CONTENDERS, near, large=rows > _ROWS_AT_ONCE)
    return rank(engine, table, Batch.CONTENDERS, contenders, whole_rows), True


def _repeated(engine: DuckEngine, table: Table, sound: str) -> tuple[bool, bool]:
    """Return whether a key occurs twice in `incoming`, and whether the sequence alone orders all rows of each key.

    So it does where no two rows of a key are of one moment, nor equal but for their moment.
    """
    columns = [column.name for column in table.columns]
    hashes = [_hashed(key(table)), f"hash({', '.join(map(identifier, columns))})"]
    if _is_ordered(table):
        hashes.append(f"hash({', '.join([*map(identifier, key(table)), *sequence(table)])})")
    rows = engine.rows(f"SELECT {', '.join(hashes)} FROM {Batch.INCOMING} WHERE {sound}")
    shared, *others = (len(set(values)) < len(rows) for values in zip(*rows, strict=True)) if rows else [False]
    return shared, len(others) == len(hashes) - 1 == 2 and not any(others)


def _is_ordered(table: Table) -> bool:
    """Return whether a sequence is all that orders rows of a key, but for those of one moment."""
    plain = not table.delete_when and table.history != "scd2" and table.replaces is None
    return bool(table.key and table.sequence_by) and plain


def _newest_first(table: Table) -> str:
    return ", ".join(f"{value} DESC NULLS LAST" for value in sequence(table))


def find_shared_keys(engine: DuckEngine, table: Table, relations: Sequence[tuple[str, int]]) -> int:
    """Fill `twice` with the hashes of keys that occur twice in relations, each of which has about so many rows.

    Returns how many these are.
    """
    hashed = _hashed(key(table))
    all_hashes = " UNION ALL ".join(f"SELECT {hashed} AS _hash FROM {relation}" for relation, _ in relations)
    at_once = max(_ROWS_AT_ONCE, engine.memory // _BYTES_A_HASH)  # every part reads all keys again
    return _fill(
        engine,
        Batch.SHARED_KEYS,
        (
            f"SELECT _hash FROM ({all_hashes}) WHERE {part} GROUP BY 1 HAVING count(*) > 1"
            for part in _parts_of("_hash", sum(rows for _, rows in relations), at_once)
        ),
    )


def _fill(engine: DuckEngine, batch: Batch, selects: Iterable[str]) -> int:
    """Fill a temporary table with the rows of SELECTs, one after the other; returns how many these are."""
    count = 0
    for nth, select in enumerate(selects):
        count += engine.insert(batch, select) if nth else engine.table(batch, select)
    return count


def is_shared(table: Table) -> str:
    """Return SQL that is true for a row whose key, by its hash, is in `twice`."""
    return f"{_hashed(key(table))} IN (SELECT _hash FROM {Batch.SHARED_KEYS})"


def narrow(table: Table, sound: str = "true", contends: str = "true") -> list[str]:
    """Return SQL of what `rank` asks of a row, beside its _id.

    Of a row that is not `sound` or does not contend, both SQL conditions, it has another meaning, and costs less.
    """
    gone = f"CASE WHEN {sound} THEN {_says_gone(table)} ELSE false END" if table.delete_when else "false"
    whole = f"CASE WHEN {contends} THEN hash({', '.join(identifier(column.name) for column in table.columns)}) END"
    moments = [f"{value} AS _by{nth}" for nth, value in enumerate(sequence(table))]
    # all deletions of a key say the same, though what stands in them may differ
    content = [f"CASE WHEN {gone} THEN 0::UBIGINT ELSE {whole} END AS _content", f"{whole} AS _whole"]
    return [*map(identifier, key(table)), *moments, f"{gone} AS _gone", *content, *_ARRIVAL]


def rank(engine: DuckEngine, table: Table, contenders: str, count: int, whole_rows: Callable[[str], str]) -> Outcome:
    """List the contenders that lose against another of their key in the temporary table `losers` (_id).

    `contenders` is a relation of so many rows with _id and what `narrow` says of them. `whole_rows` returns a relation
    of the rows with these ids, with _id and all columns: they are read only where a key's newest rows have nothing but
    their content to order them. Returns how many lost, and to what; a note names keys in conflict.
    """
    names = ", ".join(map(identifier, key(table)))
    moments = [f"_by{nth}" for nth in range(len(table.sequence_by))]
    by = _narrow_order(table)
    winner = f"OVER (PARTITION BY {names} ORDER BY {by})"
    moment = ", ".join(f"{name} := {name}" for name in (*(moments or ("_file", "_ingested_at")), "_gone"))
    moment = f"struct_pack({moment})"
    # of rows without a key, or equal in all columns, the others are duplicates
    repeats = f"row_number() OVER (PARTITION BY {names}, _content ORDER BY {by}) > 1" if table.key else "true"
    marks = [
        f"{repeats} AS _repeats",
        f"{moment} IS NOT DISTINCT FROM first_value({moment}) {winner} AS _ties",
        f"_whole <> first_value(_whole) {winner} AS _differs",
        f"first_value(_id) {winner} AS _winner",
        f"{_shown_key(table)} AS _key",
    ]
    kept = "_id, _repeats, _ties, _differs, _winner, CASE WHEN _ties AND NOT _repeats THEN _key END AS _key"
    ranked = f"SELECT _id, {', '.join(marks)}, row_number() {winner} AS _place FROM (SELECT * FROM {contenders})"
    lost = _fill(
        engine,
        Batch.LOSERS,
        (f"SELECT {kept} FROM ({ranked} WHERE {part}) WHERE _place > 1" for part in parts(key(table), count)),
    )
    counts = ["_repeats", "_ties AND NOT _repeats", "_ties AND _differs"]
    asked = ", ".join(f"count(*) FILTER (WHERE {test})" for test in counts)
    duplicates, conflicts, tied = engine.one(f"SELECT {asked} FROM {Batch.LOSERS}")
    if table.on_conflict == "last":  # the order of arrival is the contract's word
        conflicts = 0
    notes = _noted(engine, table, f"SELECT _key FROM {Batch.LOSERS} WHERE _ties AND NOT _repeats") if conflicts else ()
    if tied and table.key and moments and table.on_conflict != "last":
        _order_by_content(engine, table, whole_rows)
    superseded = lost - duplicates - conflicts
    return Outcome(duplicates=duplicates, superseded=superseded, conflicts=conflicts, conflict_notes=notes)


def _narrow_order(table: Table) -> str:
    """Return the ORDER BY that puts a key's winner first, as far as `narrow` tells: content does not decide in it."""
    latest = ", ".join(f"{name} DESC" for name in _ARRIVAL)
    if not table.key:
        return _EARLIEST
    if not table.sequence_by:
        return latest
    newest = [f"_by{nth} DESC NULLS LAST" for nth in range(len(table.sequence_by))]
    return ", ".join([*newest, "_gone DESC", latest if table.on_conflict == "last" else _EARLIEST])


def _order_by_content(engine: DuckEngine, table: Table, whole_rows: Callable[[str], str]) -> None:
    """Let content decide in `losers` where the newest rows of a key differ, and the earliest of them was taken to win.

    Which of them wins changes none of the counts: as many are equal to another, and as many are not.
    """
    tied = f"SELECT DISTINCT _winner FROM {Batch.LOSERS} WHERE _ties AND _differs"
    ids = f"SELECT _id FROM {Batch.LOSERS} WHERE _ties AND _winner IN ({tied}) UNION ALL {tied}"
    count = int(engine.one(f"SELECT count(*) FROM ({ids})")[0])
    engine.table(Batch.CONTENDERS, f"FROM {whole_rows(ids)}", large=count > _ROWS_AT_ONCE)
    names = ", ".join(map(identifier, key(table)))
    nth = f"row_number() OVER (PARTITION BY {names} ORDER BY {order(table, _EARLIEST)})"
    ranked = f"SELECT _id, {nth} AS _place FROM {Batch.CONTENDERS}"
    won = (f"SELECT _id FROM ({ranked} WHERE {part}) WHERE _place = 1" for part in parts(key(table), count))
    _fill(engine, Batch.WINNERS, won)
    engine.execute(f"DROP TABLE {Batch.CONTENDERS}")
    lost = f"SELECT * FROM ({tied}) WHERE _winner NOT IN (SELECT _id FROM {Batch.WINNERS})"
    engine.execute(f"INSERT INTO {Batch.LOSERS} (_id) {lost}")
    engine.execute(f"DELETE FROM {Batch.LOSERS} WHERE _id IN (SELECT _id FROM {Batch.WINNERS})")


_NAMED = 3  # keys by name


def _noted(engine: DuckEngine, table: Table, keys: str) -> tuple[str, ...]:
    """Keep keys, a SELECT of _key, in `in_conflict`; returns the note of them."""
    engine.table(Batch.IN_CONFLICT, f"SELECT DISTINCT _key FROM ({keys})")
    return noted(engine, table, Batch.IN_CONFLICT)


def noted(engine: DuckEngine, table: Table, keys: str) -> tuple[str, ...]:
    """Return the note of a relation of keys (_key) whose rows differ and have nothing to order them."""
    count = engine.one(f"SELECT count(*) FROM {keys}")[0]
    named = engine.values(f"SELECT _key FROM {keys} ORDER BY 1 LIMIT {_NAMED}")
    more = ", ..." if count > _NAMED else ""
    having = f"the same {', '.join(table.sequence_by)}" if table.sequence_by else "one file"
    won = "the greater content wins" if table.sequence_by else "the last row wins"
    keys_are = "1 key has rows" if count == 1 else f"{count} keys have rows"
    return (f"in conflict: {keys_are} of {having} that differ, such as {', '.join(named)}{more}; {won}",)


def reject_conflicts(engine: DuckEngine, table: Table, reasons: str, values: str) -> None:
    """Give the rows of `incoming` that contradict others of their file a reason, all of them.

    What one file says of a key at one moment is always seen together, so that it does not matter when it is read.
    """
    names = ", ".join(map(identifier, key(table)))
    here = f"{names}, {_moment(table)}, _file, _ingested_at"
    sound = f"{reasons} IS NULL AND NOT {_says_gone(table) if table.delete_when else 'false'}"
    differs = f"min({_content(table)}) OVER (PARTITION BY {here}) <> max({_content(table)}) OVER (PARTITION BY {here})"
    judged = f"SELECT rowid AS _id, {differs} AS _differs FROM {Batch.INCOMING} WHERE {sound}"
    bad = f"SELECT _id FROM ({judged}) WHERE _differs"
    moment = f" and {', '.join(table.sequence_by)}" if table.sequence_by else ""
    complaint = f"{', '.join(table.key)}: conflict: another row of the file has this key{moment} and differs"
    reason = rules.coded(f"conflict:{','.join(table.key)}", literal(complaint))
    record = ", ".join(f"{literal(column.name)}: {identifier(column.name)}" for column in table.columns)
    shown = f"json_merge_patch('{{}}', to_json({{{record}}}))::VARCHAR"
    engine.execute(f"UPDATE {Batch.INCOMING} SET {reasons} = [{reason}], {values} = {shown} WHERE rowid IN ({bad})")


def sequence(table: Table) -> tuple[str, ...]:
    """Return SQL of the values that say which row of a key is newer."""
    expressions = table.sequence_expressions
    return tuple(f"TRY({item})" if item in expressions else identifier(item) for item in table.sequence_by)


def _moment(table: Table) -> str:
    """Return SQL of what orders the rows of a key: the sequence or their file; a deletion is apart from both."""
    by = sequence(table) or ("_file", "_ingested_at")
    gone = _says_gone(table) if table.delete_when else "false"
    return f"struct_pack({', '.join(f'm{at} := {value}' for at, value in enumerate(by))}, gone := {gone})"


def _content(table: Table) -> str:
    """Return SQL of a number that equal rows of a key share; all deletions are equal."""
    content = f"hash({', '.join(identifier(column.name) for column in table.columns)})"
    return f"CASE WHEN {_says_gone(table)} THEN 0 ELSE {content} END" if table.delete_when else content


def _shown_key(table: Table) -> str:
    return "concat_ws(', ', " + ", ".join(f"{identifier(name)}::VARCHAR" for name in table.key or ("_file",)) + ")"


def contest(
    engine: DuckEngine, table: Table, columns: Mapping[str, str], stored: str, new: int
) -> tuple[int, int, Outcome]:
    """Let new rows, so many, and stored rows of the same key contend.

    `stored` is a relation of the table's rows with _at and _nth, and of its recorded deletions
    without. New rows that lose leave `incoming`; stored rows that lose are listed in the temporary
    table `superseded` (_at, _nth).
    Returns (stored rows that lost, new rows that lost, how many of a conflict are among the new ones with a note).
    """
    match = _same_key(table)
    if _is_ordered(table) and len(table.sequence_by) == 1 and new <= _FEW_ROWS:
        settled = _settled_by_sequence(engine, table, stored, match)
        if settled is not None:
            return *settled, Outcome()
    found = engine.table(Batch.STORED, f"SELECT s.* FROM {stored} s SEMI JOIN {Batch.INCOMING} i ON {match}")
    if not found:
        engine.table(Batch.SUPERSEDED, f"SELECT _at, _nth FROM {Batch.STORED}")
        return 0, 0, Outcome()
    names = ", ".join(map(identifier, columns))
    both = (
        f"SELECT {names}, 0 AS _side, rowid AS _id FROM {Batch.STORED} UNION ALL "
        f"SELECT {names}, 1, i.rowid FROM {Batch.INCOMING} i SEMI JOIN {Batch.STORED} s ON {match}"
    )
    keys = ", ".join(map(identifier, key(table)))
    winner = f"OVER (PARTITION BY {keys} ORDER BY {order(table, '_side')})"
    # between files the order of arrival is an order, but not among rows of one moment of a sequence
    ties = f"{_moment(table)} IS NOT DISTINCT FROM first_value({_moment(table)}) {winner}"
    ties += f" AND {_content(table)} <> first_value({_content(table)}) {winner}"
    if not (table.key and table.sequence_by) or table.on_conflict == "last":
        ties = "false"
    marks = f"{ties} AS _ties, {_shown_key(table)} AS _key"
    ranked = f"SELECT _side, _id, row_number() {winner} AS _place, {marks} FROM (SELECT * FROM ({both})"
    _fill(
        engine,
        Batch.CONTEST,
        (
            f"SELECT _side, _id, _ties, _key FROM ({ranked} WHERE {part})) WHERE _place > 1"
            for part in parts(key(table), 2 * found)
        ),
    )
    lost = f"SELECT _id FROM {Batch.CONTEST} WHERE _side = 0"
    superseded = engine.table(
        Batch.SUPERSEDED, f"SELECT _at, _nth FROM {Batch.STORED} WHERE _at IS NOT NULL AND rowid IN ({lost})"
    )
    counts = (
        "count(*) FILTER (WHERE _side = 1), count(*) FILTER (WHERE _side = 1 AND _ties), count(*) FILTER (WHERE _ties)"
    )
    lost_new, conflicts, tied = engine.one(f"SELECT {counts} FROM {Batch.CONTEST}")
    if lost_new:
        engine.execute(f"DELETE FROM {Batch.INCOMING} WHERE rowid IN (SELECT _id FROM {Batch.CONTEST} WHERE _side = 1)")
    notes = _noted(engine, table, f"SELECT _key FROM {Batch.CONTEST} WHERE _ties") if tied else ()
    return superseded, lost_new - conflicts, Outcome(conflicts=conflicts, conflict_notes=notes)


def _settled_by_sequence(engine: DuckEngine, table: Table, stored: str, match: str) -> tuple[int, int] | None:
    """Do what `contest` does where every two rows of a key are of two moments, and both moments are known.

    Returns how many stored rows lost, and how many new ones; None where it is not so: nothing has changed then.
    """
    (moment,) = sequence(table)
    names = ", ".join(map(identifier, key(table)))
    new = f"(SELECT {names}, rowid AS _id, {moment} AS _by FROM {Batch.INCOMING}) i"
    old = f"(SELECT {names}, _at, _nth, {moment} AS _by FROM {stored}) s"
    newer = "CASE WHEN i._by <> s._by THEN i._by > s._by END AS _newer"
    engine.table(Batch.SUPERSEDED, f"SELECT s._at, s._nth, i._id, {newer} FROM {old} JOIN {new} ON {match}")
    pairs = engine.rows(f"SELECT _id, _newer FROM {Batch.SUPERSEDED}")
    if len(dict(pairs)) < len(pairs) or any(is_newer is None for _, is_newer in pairs):
        return None
    stale = sum(not is_newer for _, is_newer in pairs)
    if stale:
        engine.delete(Batch.INCOMING, f"rowid IN (SELECT _id FROM {Batch.SUPERSEDED} WHERE NOT _newer)")
        engine.delete(Batch.SUPERSEDED, "NOT _newer")
    return len(pairs) - stale, stale


def parts(names: Sequence[str], rows: int) -> list[str]:
    """Return conditions that cut rows by the key, these columns, so that what is sorted or counted at once fits.

    The engine spills tables and joins to disk, but not all of a large grouping or window.
    """
    return _parts_of(_hashed(names), rows, _ROWS_AT_ONCE)


def hashed_key(table: Table) -> str:
    """Return SQL of the hash of a row's key."""
    return _hashed(key(table))


def _hashed(names: Sequence[str]) -> str:
    return f"hash({', '.join(map(identifier, names))})"


def _parts_of(hashed: str, rows: int, at_once: int) -> list[str]:
    count = 1 + rows // at_once
    return ["true"] if count == 1 else [f"{hashed} % {count} = {part}" for part in range(count)]


def set_deletions_aside(engine: DuckEngine, table: Table) -> int:
    """Move the rows that say their key is gone from `incoming` to `deleted`; returns how many."""
    if not table.delete_when:
        return 0
    deleted = engine.table(Batch.DELETED, f"SELECT * FROM {Batch.INCOMING} WHERE {table.delete_when}")
    engine.execute(f"DELETE FROM {Batch.INCOMING} WHERE {table.delete_when}")
    return deleted


def removed_by_deletions(engine: DuckEngine, table: Table) -> int:
    """Return how many stored rows the rows in `deleted` take away, after a contest."""
    there = f"SELECT * FROM {Batch.STORED} WHERE _at IS NOT NULL"
    return int(engine.one(f"SELECT count(*) FROM {Batch.DELETED} i SEMI JOIN ({there}) s ON {_same_key(table)}")[0])


def _same_key(table: Table) -> str:
    return " AND ".join(f"s.{identifier(name)} IS NOT DISTINCT FROM i.{identifier(name)}" for name in key(table))


_EARLIEST = ", ".join(_ARRIVAL)


def order(table: Table, among_equals: str) -> str:
    """Return the ORDER BY that puts a key's winner first; `among_equals` decides where the content is the same.

    In a batch the earliest of equal rows stands, against the table the stored one, so that nothing
    is rewritten for a difference that no reader can see.
    """
    if not table.key:
        return among_equals
    if not table.sequence_by:
        return ", ".join(f"{name} DESC" for name in _ARRIVAL)
    rest = [column.name for column in table.columns if column.name not in {*table.key, *table.sequence_by}]
    ranks = [f"{value} DESC NULLS LAST" for value in sequence(table)]
    ranks += [f"{_says_gone(table)} DESC"] if table.delete_when else []
    if table.on_conflict == "last":
        return ", ".join([*ranks, *(f"{name} DESC" for name in _ARRIVAL)])
    if len(rest) > MANY_COLUMNS:  # one value for all of them: as columns, each would take memory in every sort
        keys = ", ".join(f"{identifier(name)}, 'DESC NULLS LAST'" for name in rest)
        ranks.append(f"create_sort_key({keys})")
    else:
        ranks += [f"{identifier(name)} DESC NULLS LAST" for name in rest]
    return ", ".join([*ranks, among_equals])


def _says_gone(table: Table) -> str:
    """Return SQL that is true for a row that says its key is gone."""
    return f"coalesce(({table.delete_when}), false)"
