"""Two computations of the same rows are compared as they stream by, and only rows of buckets that differ are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from src.engine import DuckEngine, identifier

_BUCKETS = 4096  # rows by their hash: of a few that differ, so many times fewer are looked at
_ROWS_AT_ONCE = 1_000_000  # of each side, matched row by row
_STORED, _COMPUTED = "unlike_stored", "unlike_computed"  # temporary tables: rows of the buckets that differ
_ROW = '"~row"'  # an alias that no column has, as it would hide the row

Surplus = Callable[[str, str], str]  # a SELECT of the rows that one SELECT has too many against another
Sums = dict[int, tuple[int, int]]  # of each bucket its rows, and the sum of their hashes


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
    summed: tuple[Sums, Sums] | None = None,
) -> Iterator[str]:
    """Yield how many rows one relation has too many and lacks against another, with an example; nothing if equal.

    `columns` are those that are compared; the `inexact` of them may differ where `surplus` lets them. `summed`: the
    `sums` of both, where they are known.
    """
    names = ", ".join(map(identifier, columns))
    exact, hashed = _hashed(columns, inexact)
    sides = [f"SELECT {names} FROM {side}" for side in (stored, computed)]
    one, other = summed or [sums(engine, columns, side, inexact) for side in (stored, computed)]
    unlike = sorted(bucket for bucket in {*one, *other} if one.get(bucket) != other.get(bucket))
    if not unlike:
        return
    most = max(sum(found[bucket][0] for bucket in unlike if bucket in found) for found in (one, other))
    among = f"{hashed} % {_BUCKETS} IN ({', '.join(map(str, unlike))})"
    for table, side in zip((_STORED, _COMPUTED), sides, strict=True):
        engine.table(table, f"SELECT * FROM ({side}) WHERE {among}", large=most > _ROWS_AT_ONCE)
    count = 1 + most // _ROWS_AT_ONCE if exact else 1
    # by other bits of the hash than the buckets, of which only some are there
    parts = ["true"] if count == 1 else [f"{hashed} // {_BUCKETS} % {count} = {part}" for part in range(count)]
    for label, having, lacking in (("should not be there", _STORED, _COMPUTED), ("missing", _COMPUTED, _STORED)):
        rows, example = 0, ""
        for part in parts:
            extra = surplus(f"SELECT * FROM {having} WHERE {part}", f"SELECT * FROM {lacking} WHERE {part}")
            if found := engine.one(f"SELECT count(*) FROM ({extra})")[0]:
                example = example or engine.one(f"SELECT {_ROW}::VARCHAR FROM ({extra}) {_ROW} LIMIT 1")[0]
                rows += found
        if rows:
            yield f"{rows} rows {label}, such as {example[:200]}"
    engine.execute(f"DROP TABLE {_STORED}; DROP TABLE {_COMPUTED}")


def sums(engine: DuckEngine, columns: Sequence[str], relation: str, inexact: Sequence[str] = ()) -> Sums:
    """Return how many rows of each bucket a relation has, and the sum of their hashes.

    As many and the same rows give the same; the sums of parts of a relation add up to its own.
    """
    names = ", ".join(map(identifier, columns))
    _, hashed = _hashed(columns, inexact)
    side = f"SELECT {names} FROM {relation}"
    counted = f"SELECT {hashed} % {_BUCKETS}, count(*), sum((hash({names}))::HUGEINT) FROM ({side}) GROUP BY 1"
    return {number: (rows, total) for number, rows, total in engine.rows(counted)}


def added(parts: Iterable[Sums]) -> Sums:
    """Return the sums of a relation, given those of its parts."""
    rows, totals = Counter[int](), Counter[int]()
    for part in parts:
        rows.update({number: count for number, (count, _) in part.items()})
        totals.update({number: total for number, (_, total) in part.items()})
    return {number: (count, totals[number]) for number, count in rows.items()}


def _hashed(columns: Sequence[str], inexact: Sequence[str]) -> tuple[str, str]:
    """Return the columns that are compared exactly, as SQL, and SQL of their hash."""
    exact = ", ".join(identifier(name) for name in columns if name not in inexact)
    return exact, f"hash({exact})" if exact else "0::UBIGINT"


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
