"""Two computations of the same rows are compared as they stream by, and only rows of buckets that differ are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from src.engine import DuckEngine, identifier

_BUCKETS = 4096  # rows by their hash: of a few that differ, so many times fewer are looked at
_ROWS_AT_ONCE = 1_000_000  # of each side, matched row by row
_STORED, _COMPUTED = "unlike_stored", "unlike_computed"  # temporary tables: rows of the buckets that differ
_ROW = '"~row"'  # an alias that no column has, as it would hide the row

Surplus = Callable[[str, str], str]  # a SELECT of the rows that one SELECT has too many against another


def exactly(one: str, other: str) -> str:
    """Return a SELECT of the rows that one SELECT has too many against another."""
    return f"{one} EXCEPT ALL {other}"


def unequal(
    engine: DuckEngine,
    columns: Sequence[str],
    stored: str,
    computed: str,
    surplus: Surplus = exactly,
    inexact: Sequence[str] = (),
) -> Iterator[str]:
    """Yield how many rows one relation has too many and lacks against another, with an example; nothing if equal.

    `columns` are those that are compared; the `inexact` of them may differ where `surplus` lets them.
    """
    names = ", ".join(map(identifier, columns))
    exact = ", ".join(identifier(name) for name in columns if name not in inexact)
    hashed = f"hash({exact})" if exact else "0::UBIGINT"
    sides = [f"SELECT {names} FROM {side}" for side in (stored, computed)]
    sums = [_sums(engine, f"{hashed} % {_BUCKETS}", f"hash({names})", side) for side in sides]
    unlike = sorted(bucket for bucket in {*sums[0], *sums[1]} if sums[0].get(bucket) != sums[1].get(bucket))
    if not unlike:
        return
    most = max(sum(found[bucket][0] for bucket in unlike if bucket in found) for found in sums)
    among = f"{hashed} % {_BUCKETS} IN ({', '.join(map(str, unlike))})"
    for table, side in zip((_STORED, _COMPUTED), sides, strict=True):
        engine.table(table, f"SELECT * FROM ({side}) WHERE {among}", large=most > _ROWS_AT_ONCE)
    count = 1 + most // _ROWS_AT_ONCE if exact else 1
    # by other bits of the hash than the buckets, of which only some are there
    parts = ["true"] if count == 1 else [f"{hashed} // {_BUCKETS} % {count} = {part}" for part in range(count)]
    for label, one, other in (("should not be there", _STORED, _COMPUTED), ("missing", _COMPUTED, _STORED)):
        rows, example = 0, ""
        for part in parts:
            extra = surplus(f"SELECT * FROM {one} WHERE {part}", f"SELECT * FROM {other} WHERE {part}")
            if found := engine.one(f"SELECT count(*) FROM ({extra})")[0]:
                example = example or engine.one(f"SELECT {_ROW}::VARCHAR FROM ({extra}) {_ROW} LIMIT 1")[0]
                rows += found
        if rows:
            yield f"{rows} rows {label}, such as {example[:200]}"
    engine.execute(f"DROP TABLE {_STORED}; DROP TABLE {_COMPUTED}")


def _sums(engine: DuckEngine, bucket: str, row: str, side: str) -> dict[int, tuple[int, int]]:
    """Return how many rows each bucket has, and the sum of their hashes: as many and the same rows give the same."""
    found = engine.rows(f"SELECT {bucket}, count(*), sum(({row})::HUGEINT) FROM ({side}) GROUP BY 1")
    return {number: (rows, total) for number, rows, total in found}


def repeated(engine: DuckEngine, relation: str, columns: Sequence[str], rows: int) -> int:
    """Return how many values of these columns more than one row of a relation has; it has about so many rows.

    They are counted by their hashes first, which take less memory, and some of them at a time.
    """
    names = ", ".join(map(identifier, columns))
    hashed, count = f"hash({names})", 1 + rows // (4 * _ROWS_AT_ONCE)
    total = 0
    for part in range(count):
        some = f"{hashed} % {count} = {part}"
        shared = f"SELECT {hashed} AS _hash FROM {relation} WHERE {some} GROUP BY 1 HAVING count(*) > 1"
        if engine.table(_STORED, shared):
            again = f"SELECT 1 FROM {relation} WHERE {hashed} IN (SELECT _hash FROM {_STORED}) GROUP BY {names}"
            total += int(engine.one(f"SELECT count(*) FROM ({again} HAVING count(*) > 1)")[0])
    engine.execute(f"DROP TABLE IF EXISTS {_STORED}")
    return total
