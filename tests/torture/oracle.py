"""What silver, quarantine and gold must hold: one pass over every file that ever landed, in plain DuckDB SQL.

Shares no code with src/. Files lie in an archive as `<arrival>/<name>`, one folder for each run, so that
a corrected file does not replace the one it corrects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from torture.figures import KINDS

Rows = Counter[tuple[Any, ...]]
FAMILIES = (
    *("sequence", "arrival", "keyless", "deletes", "history", "conflicts", "last", "places"),
    *("slices", "all", "named", "turns", "versions", "day versions"),
)
BESIDE = "shop/orders"


@dataclass(frozen=True)
class Statements:
    """How the files of a family speak: of which slice, in which order, with which key; `rest` tells ties apart."""

    slice: str  # SQL over `typed`
    by_name: bool  # whether a file without readable rows speaks of it
    key: str
    order: str = ""  # SQL over `typed`; empty: by arrival
    column: str = ""  # what it adds to the table
    history: bool = False


STATEMENTS = {
    "slices": Statements("day", False, "order_id, day"),
    "all": Statements("0", True, "order_id"),
    "named": Statements("shelf", True, "order_id, shelf", column="shelf"),
    "turns": Statements("day", False, "order_id, day", "coalesce(turn, -1)", "turn"),
    "versions": Statements("0", True, "order_id", "told", "told", history=True),
    "day versions": Statements("day", False, "order_id, day", "told", "told", history=True),
}


@dataclass(frozen=True)
class Rules:
    """What a contract of the shop asks for. `family` says how a key's winner is found."""

    family: str = "sequence"
    minimum: int | None = None  # of amount
    note: bool = False  # whether the contract has the drift columns, note and changed
    version: int = 1
    figure: str = ""  # which kind of mart looks across days; empty: none

    @property
    def keyed(self) -> bool:
        return self.family != "keyless"

    @property
    def columns(self) -> str:
        drifted = ", note, epoch_us(changed) AS changed" if self.note else ""
        stated = STATEMENTS.get(self.family)
        is_history = stated.history if stated else self.family == "history"
        validity = ", _valid_from, _valid_to, _is_current" if is_history else ""
        added = stated.column if stated else "place" if self.family == "places" else ""
        return f"order_id, day, amount, updated{drifted}{f', {added}' if added else ''}{validity}"


@dataclass(frozen=True)
class Content:
    """The rows of a shop: silver (contract columns), rejects (file, row), gold (day, orders, amount) and figure."""

    silver: Rows
    rejects: Rows
    gold: Rows
    figure: Rows = field(default_factory=Counter)

    def differences(self, other: Content) -> list[str]:
        """How `other` differs from this, in words."""
        said = []
        for name in ("silver", "rejects", "gold", "figure"):
            mine, theirs = getattr(self, name), getattr(other, name)
            said += [f"{name} lacks {count} x {_shown(row)}" for row, count in (mine - theirs).items()]
            said += [f"{name} has {count} x {_shown(row)} too many" for row, count in (theirs - mine).items()]
        return said


def expected(
    connection: duckdb.DuckDBPyConnection, archive: Path, rules: Rules, forgotten: Iterable[int] = ()
) -> Content:
    """The content that one pass over the archive gives under these rules, without the lines of forgotten keys."""
    # what arrived last wins, so that a copy is an arrival
    copies = rules.family in ("arrival", "last", *STATEMENTS)
    connection.execute(_LANDED.format(archive=f"{archive}/*/*.csv", listed=_LISTED, copies=copies))
    connection.execute(_TYPED.format(good=_good(rules)))
    for key in forgotten:
        connection.execute(f"DELETE FROM typed WHERE split AND order_id = {key}")
    if rules.family == "conflicts":
        connection.execute(_CONTRADICTED.format(content="day, amount" + (", note, changed" if rules.note else "")))
    silver = _rows(connection, _winners(rules))
    rejects = _rows(connection, "SELECT 'shop/orders/' || name, nth FROM typed WHERE NOT good")
    daily = "SELECT day, count(*), sum(amount)::DECIMAL(18,2)"
    gold = _rows(connection, f"{daily} FROM ({_winners(rules)}) GROUP BY day")
    return Content(silver, rejects, gold, _figure(connection, rules))


def _figure(connection: duckdb.DuckDBPyConnection, rules: Rules) -> Rows:
    """What the mart that looks across days must hold."""
    if not rules.figure:
        return Counter()
    connection.execute(f"CREATE OR REPLACE TEMP TABLE winners AS {_winners(rules)}")
    return _rows(connection, KINDS[rules.figure].expected)


def stored(
    connection: duckdb.DuckDBPyConnection, data: Path, rules: Rules, at: dict[str, int] | None = None
) -> Content:
    """What lies on disk under these rules: the newest versions, or those given by table name."""
    at = at or {}
    silver = _scan(data / "silver" / BESIDE, at.get("silver.shop.orders"))
    quarantine = _scan(data / "quarantine" / BESIDE, at.get("quarantine.shop.orders"))
    gold = _scan(data / "gold/shop/daily", at.get("gold.shop.daily"))
    figure = _scan(data / "gold/figures/figure", at.get("gold.figures.figure"))
    return Content(
        silver=_rows(connection, f"SELECT {rules.columns} FROM {silver}") if silver else Counter(),
        rejects=_rows(connection, f"SELECT _file, _row FROM {quarantine}") if quarantine else Counter(),
        gold=_rows(connection, f"SELECT day, orders, amount FROM {gold}") if gold else Counter(),
        figure=_rows(connection, f"SELECT day, x FROM {figure}") if figure else Counter(),
    )


def unbalanced(connection: duckdb.DuckDBPyConnection, data: Path) -> list[tuple[Any, ...]]:
    """Recorded steps whose rows read are not each counted once."""
    runs = _scan(data / "ops/pipeline_runs", None)
    sums = "inserted + updated + unchanged + duplicates + quarantined + deleted + superseded + conflicts + forgotten"
    return connection.execute(
        f"SELECT run_id, layer, \"table\", records_read FROM {runs} WHERE layer <> 'run' AND records_read <> {sums}"
    ).fetchall()


def interrupted(connection: duckdb.DuckDBPyConnection, data: Path) -> set[str]:
    """The runs on record as having ended without a word."""
    runs = _scan(data / "ops/pipeline_runs", None)
    return {
        row[0] for row in connection.execute(f"SELECT run_id FROM {runs} WHERE error_class = 'interrupted'").fetchall()
    }


def rejected(connection: duckdb.DuckDBPyConnection, data: Path) -> Rows:
    """Every row of the quarantine, without when it was taken and by which run."""
    scan = _scan(data / "quarantine" / BESIDE, None)
    kept = "_reasons::VARCHAR, _values, _contract, _file, _row"
    return _rows(connection, f"SELECT {kept} FROM {scan}") if scan else Counter()


# -- one pass

# names as a person lists them: b2 before b10
_LISTED = "regexp_replace(name, '[0-9]+', lpad(regexp_extract(name, '[0-9]+'), 9, '0'))"
_LANDED = """
CREATE OR REPLACE TEMP TABLE landed AS
SELECT arrival, name, {listed} AS listed,
    list_filter(string_split(content, chr(10)), lambda line: line <> '') AS lines,
    regexp_extract(name, '([a-z]?)[0-9]*[.]csv$', 1) AS shelf,
    try_cast(regexp_extract(name, '[0-9]+') AS INTEGER) AS turn,
    DATE '2024-01-01' + coalesce(try_cast(regexp_extract(name, '[0-9]+') AS INTEGER), 1) AS told
FROM (
    SELECT content, parse_filename(parse_dirpath(filename))::INTEGER AS arrival, parse_filename(filename) AS name
    FROM read_text('{archive}')
)
QUALIFY row_number() OVER (PARTITION BY content ORDER BY arrival, {listed}) = 1
    OR content <> lag(content) OVER (PARTITION BY name ORDER BY arrival)
    OR ({copies} AND row_number() OVER (PARTITION BY name ORDER BY arrival) = 1)
"""
_TYPED = r"""
CREATE OR REPLACE TEMP TABLE typed AS
WITH numbered AS (
    SELECT arrival, name, listed, shelf, turn, told, string_split(lines[1], ',') AS header,
        unnest(lines[2:]) AS line, generate_subscripts(lines[2:], 1) AS nth
    FROM landed
), cells AS (SELECT *, string_split(line, ',') AS cells FROM numbered
), texts AS (
    SELECT arrival, name, listed, shelf, turn, told, nth, len(cells) = len(header) AS split,
        nullif(trim(cells[list_position(header, 'order_id')]), '') AS order_text,
        nullif(trim(cells[list_position(header, 'day')]), '') AS day_text,
        nullif(trim(cells[list_position(header, 'amount')]), '') AS amount_text,
        nullif(trim(cells[list_position(header, 'updated')]), '') AS updated_text,
        nullif(trim(cells[list_position(header, 'note')]), '') AS note,
        nullif(trim(cells[list_position(header, 'changed')]), '') AS changed_text
    FROM cells
), parts AS (
    SELECT *,
        regexp_extract(amount_text, '^([-+]?)([0-9]*)[.]?([0-9]*)(e([-+]?[0-9]+))?$',
            ['sign', 'whole', 'fraction', 'e', 'exponent']) AS number
    FROM texts
), digits AS (
    SELECT *,
        rtrim(number.whole || number.fraction, '0') AS kept,
        len(number.whole) + coalesce(try_cast(number.exponent AS INTEGER), 0) AS point -- so many digits stand before it
    FROM parts
), values_read AS (
    SELECT *,
        CASE WHEN regexp_full_match(order_text, '[+]?[0-9]+([.]0{{0,2}})?')
            THEN try_cast(string_split(order_text, '.')[1] AS BIGINT) END AS order_id,
        CASE WHEN regexp_full_match(day_text, '[0-9]{{4}}([-/])[0-9]{{1,2}}[-/][0-9]{{1,2}}( 00:00:00)?')
            THEN try_cast(replace(string_split(day_text, ' ')[1], '/', '-') AS DATE) END AS day,
        CASE WHEN regexp_full_match(amount_text, '[-+]?([0-9]+[.]?|[0-9]*[.][0-9]+)(e[-+]?[0-9]+)?') THEN
            CASE WHEN kept = '' THEN 0.00
            WHEN len(kept) - point <= 2 AND point <= 16
            THEN (number.sign || rpad(kept, (point + 2)::INTEGER, '0'))::BIGINT * 0.01 END
        END::DECIMAL(18,2) AS amount,
        CASE WHEN regexp_full_match(updated_text, '[0-9]+([.]0{{0,2}})?')
            THEN try_cast(string_split(updated_text, '.')[1] AS INTEGER) END AS updated,
        CASE WHEN regexp_full_match(changed_text, '[0-9-]{{10}}[T ][0-9:]{{8}}([.][0-9]{{1,6}})?(Z|[+]02:00)?')
            THEN try_cast(regexp_replace(changed_text, '(Z|[+]02:00)$', '') AS TIMESTAMP)
                - to_hours(CASE WHEN ends_with(changed_text, '+02:00') THEN 2 ELSE 0 END) END AS changed
    FROM digits
)
SELECT arrival, name, listed, shelf, turn, told, nth, split, order_id, day, amount, updated, note, changed,
    if(amount = 7.5, '', concat(amount, ' %2F/=')) AS place, coalesce({good}, false) AS good
FROM values_read
"""
# rows of one file that say different things of a key at one moment pass no more, none of them
_CONTRADICTED = """
UPDATE typed SET good = false WHERE good AND EXISTS (
    SELECT 1 FROM typed other
    WHERE other.good AND (other.arrival, other.name, other.order_id) = (typed.arrival, typed.name, typed.order_id)
        AND other.updated IS NOT DISTINCT FROM typed.updated
        AND (SELECT row({content}) FROM (SELECT other.*)) IS DISTINCT FROM (SELECT row({content}) FROM (SELECT typed.*))
)
"""


def _good(rules: Rules) -> str:
    """SQL that is true of a row that passes; NULL counts as false."""
    tests = ["split", "day IS NOT NULL", "amount IS NOT NULL", "(updated IS NOT NULL OR updated_text IS NULL)"]
    tests.append("order_id IS NOT NULL" if rules.keyed else "(order_id IS NOT NULL OR order_text IS NULL)")
    if rules.family == "places":
        tests.append("place <> ''")
    if rules.note:
        tests.append("(changed IS NOT NULL OR changed_text IS NULL)")
    if rules.minimum is not None:
        tests.append(f"amount >= {rules.minimum}")
    return " AND ".join(tests)


def _winners(rules: Rules) -> str:
    if not rules.keyed:
        return f"SELECT DISTINCT {rules.columns} FROM typed WHERE good"
    drifted = ", note DESC NULLS LAST, changed DESC NULLS LAST" if rules.note else ""
    arrived = "arrival DESC, listed DESC, nth DESC"
    if stated := STATEMENTS.get(rules.family):
        content = f"amount DESC NULLS LAST, updated DESC NULLS LAST{drifted}"
        if "day" not in stated.key:
            content = f"day DESC NULLS LAST, {content}"
        return _stated(rules, stated, content if stated.order else arrived)
    if rules.family == "history":
        return _versions(rules, f"amount DESC NULLS LAST, updated DESC NULLS LAST{drifted}")
    order = "updated DESC NULLS LAST, " + ("amount = 0 DESC, " if rules.family == "deletes" else "")
    order += f"day DESC NULLS LAST, amount DESC NULLS LAST{drifted}"
    order += ", place DESC NULLS LAST" if rules.family == "places" else ""
    if rules.family == "arrival":
        order = arrived
    if rules.family == "last":
        order = f"updated DESC NULLS LAST, {arrived}"
    won = f"SELECT * FROM typed WHERE good QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY {order}) = 1"
    return f"SELECT {rules.columns} FROM ({won})" + (" WHERE amount <> 0" if rules.family == "deletes" else "")


def _versions(rules: Rules, order: str) -> str:
    """Every day of a key is a version that holds until the next."""
    won = f"SELECT * FROM typed WHERE good QUALIFY row_number() OVER (PARTITION BY order_id, day ORDER BY {order}) = 1"
    following = "(SELECT min(b.day) FROM typed b WHERE b.good AND b.order_id = a.order_id AND b.day > a.day)"
    laid = f"SELECT *, day AS _valid_from, {following} AS _valid_to FROM ({won}) a"
    return f"SELECT {rules.columns} FROM (SELECT *, _valid_to IS NULL AS _is_current FROM ({laid}))"


def _stated(rules: Rules, stated: Statements, order: str) -> str:
    """Rows that the newest statements of their slices say; with history the versions that all statements make."""
    named = "SELECT 0 AS slice, * FROM landed" if stated.slice == "0" else "SELECT shelf AS slice, * FROM landed"
    rows = f"SELECT {stated.slice} AS slice, * FROM typed WHERE split AND {stated.slice} IS NOT NULL"
    place = stated.order or "(arrival, listed)"
    speaks = f"SELECT DISTINCT slice, name, arrival, {place} AS place FROM"
    said = f"{speaks} ({rows})" + (f" UNION {speaks} ({named})" if stated.by_name else "")
    beaten = "b.place = a.place AND b.name = a.name AND b.arrival > a.arrival"
    beaten = beaten if stated.history else f"b.place > a.place OR ({beaten})"
    common = f"said AS ({said}), live AS (SELECT * FROM said a WHERE NOT EXISTS (SELECT 1 FROM said b"
    common += f" WHERE b.slice = a.slice AND ({beaten}))), spoken AS (SELECT t.* FROM ({rows}) t"
    common += " JOIN live USING (slice, name, arrival) WHERE good)"
    at = f"{stated.key}, told" if stated.history else stated.key
    won = f"SELECT * FROM spoken QUALIFY row_number() OVER (PARTITION BY {at} ORDER BY {order}) = 1"
    if not stated.history:
        return f"WITH {common} SELECT {rules.columns} FROM ({won})"
    rest = ", ".join(name for name in ("day", "amount", "updated", "note", "changed") if name not in stated.key)
    rest = rest if rules.note else rest.replace(", note, changed", "")
    key = " AND ".join(f"o.{name} = s.{name}" for name in stated.key.split(", "))
    same = f"SELECT 1 FROM states o WHERE {key} AND o.content = s.content AND o.told"
    moments = "FROM live m WHERE m.slice = s.slice AND m.place"
    until = f"(SELECT min(m.place) {moments} > s.told AND NOT EXISTS ({same} = m.place))"
    begins = f"NOT EXISTS ({same} = (SELECT max(m.place) {moments} < s.told))"
    laid = f"SELECT *, told AS _valid_from, {until} AS _valid_to FROM states s WHERE {begins}"
    return (
        f"WITH {common}, states AS (SELECT *, row({rest})::VARCHAR AS content FROM ({won})) "
        f"SELECT {rules.columns} FROM (SELECT *, _valid_to IS NULL AS _is_current FROM ({laid}))"
    )


# -- what lies on disk


def _scan(root: Path, version: int | None) -> str:
    """SQL over the files of one version; empty text where there is no table or no row."""
    if not (root / "_delta_log").exists():
        return ""
    files = DeltaTable(root, version=version).file_uris()
    if not files:
        return ""
    kinds = {"day": "DATE", "place": "VARCHAR"}
    named = ", ".join(f"'{name}': {kind}" for name, kind in kinds.items() if any(f"/{name}=" in at for at in files))
    hive = f", hive_types = {{{named}}}" if named else ""
    return f"read_parquet({files!r}, hive_partitioning = {bool(named)}, union_by_name = true{hive})"


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    return Counter(connection.execute(sql).fetchall())


def _shown(row: tuple[Any, ...]) -> str:
    return "(" + ", ".join(map(str, row)) + ")"
