"""What silver, quarantine and gold must hold: one pass over every file that ever landed, in plain DuckDB SQL.

Shares no code with src/. Files lie in an archive as `<arrival>/<name>`, one folder for each run, so that
a corrected file does not replace the one it corrects.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from torture.figures import KINDS

Rows = Counter[tuple[Any, ...]]
FAMILIES = ("sequence", "arrival", "keyless", "deletes")
BESIDE = "shop/orders"


@dataclass(frozen=True)
class Rules:
    """What a contract of the shop asks for. `family` says how a key's winner is found."""

    family: str = "sequence"
    minimum: int | None = None  # of amount
    note: bool = False  # whether the contract has the drift column
    version: int = 1
    figure: str = ""  # which kind of mart looks across days; empty: none

    @property
    def keyed(self) -> bool:
        return self.family != "keyless"

    @property
    def columns(self) -> str:
        return "order_id, day, amount, updated" + (", note" if self.note else "")


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


def expected(connection: duckdb.DuckDBPyConnection, archive: Path, rules: Rules) -> Content:
    """The content that one pass over the archive gives under these rules."""
    copies = rules.family == "arrival"  # the row that arrived last wins, so that a copy is an arrival
    typed = _TYPED.format(archive=f"{archive}/*/*.csv", good=_good(rules), listed=_LISTED, copies=copies)
    connection.execute(typed)
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


def stored(connection: duckdb.DuckDBPyConnection, data: Path, note: bool, at: dict[str, int] | None = None) -> Content:
    """What lies on disk: the newest versions, or those given by table name."""
    at = at or {}
    silver = _scan(data / "silver" / BESIDE, at.get("silver.shop.orders"))
    quarantine = _scan(data / "quarantine" / BESIDE, at.get("quarantine.shop.orders"))
    gold = _scan(data / "gold/shop/daily", at.get("gold.shop.daily"))
    figure = _scan(data / "gold/figures/figure", at.get("gold.figures.figure"))
    return Content(
        silver=_rows(connection, f"SELECT {Rules(note=note).columns} FROM {silver}") if silver else Counter(),
        rejects=_rows(connection, f"SELECT _file, _row FROM {quarantine}") if quarantine else Counter(),
        gold=_rows(connection, f"SELECT day, orders, amount FROM {gold}") if gold else Counter(),
        figure=_rows(connection, f"SELECT day, x FROM {figure}") if figure else Counter(),
    )


def unbalanced(connection: duckdb.DuckDBPyConnection, data: Path) -> list[tuple[Any, ...]]:
    """Recorded steps whose rows read are not each counted once."""
    runs = _scan(data / "ops/pipeline_runs", None)
    sums = "inserted + updated + unchanged + duplicates + quarantined + deleted + superseded + conflicts"
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
_TYPED = r"""
CREATE OR REPLACE TEMP TABLE typed AS
WITH landed AS (
    SELECT arrival, name, list_filter(string_split(content, chr(10)), lambda line: line <> '') AS lines
    FROM (
        SELECT content, parse_filename(parse_dirpath(filename))::INTEGER AS arrival, parse_filename(filename) AS name
        FROM read_text('{archive}')
    )
    QUALIFY row_number() OVER (PARTITION BY content ORDER BY arrival, {listed}) = 1
        OR content <> lag(content) OVER (PARTITION BY name ORDER BY arrival)
        OR ({copies} AND row_number() OVER (PARTITION BY name ORDER BY arrival) = 1)
), numbered AS (
    SELECT arrival, name, string_split(lines[1], ',') AS header,
        unnest(lines[2:]) AS line, generate_subscripts(lines[2:], 1) AS nth
    FROM landed
), cells AS (SELECT *, string_split(line, ',') AS cells FROM numbered
), texts AS (
    SELECT arrival, name, nth, len(cells) = len(header) AS split,
        nullif(trim(cells[list_position(header, 'order_id')]), '') AS order_text,
        nullif(trim(cells[list_position(header, 'day')]), '') AS day_text,
        nullif(trim(cells[list_position(header, 'amount')]), '') AS amount_text,
        nullif(trim(cells[list_position(header, 'updated')]), '') AS updated_text,
        nullif(trim(cells[list_position(header, 'note')]), '') AS note
    FROM cells
), values_read AS (
    SELECT *,
        CASE WHEN regexp_full_match(order_text, '[0-9]+(\.0)?') THEN try_cast(order_text AS BIGINT) END AS order_id,
        CASE WHEN regexp_full_match(day_text, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')
            THEN try_cast(day_text AS DATE) END AS day,
        CASE WHEN regexp_full_match(amount_text, '-?[0-9]+(\.[0-9]{{1,2}})?')
            THEN try_cast(amount_text AS DECIMAL(18,2)) END AS amount,
        CASE WHEN regexp_full_match(updated_text, '[0-9]+') THEN try_cast(updated_text AS INTEGER) END AS updated
    FROM texts
)
SELECT arrival, name, nth, order_id, day, amount, updated, note, coalesce({good}, false) AS good FROM values_read
"""


def _good(rules: Rules) -> str:
    """SQL that is true of a row that passes; NULL counts as false."""
    tests = ["split", "day IS NOT NULL", "amount IS NOT NULL", "(updated IS NOT NULL OR updated_text IS NULL)"]
    tests.append("order_id IS NOT NULL" if rules.keyed else "(order_id IS NOT NULL OR order_text IS NULL)")
    if rules.minimum is not None:
        tests.append(f"amount >= {rules.minimum}")
    return " AND ".join(tests)


def _winners(rules: Rules) -> str:
    if not rules.keyed:
        return f"SELECT DISTINCT {rules.columns} FROM typed WHERE good"
    order = "updated DESC NULLS LAST, " + ("amount = 0 DESC, " if rules.family == "deletes" else "")
    order += "day DESC NULLS LAST, amount DESC NULLS LAST"
    order += ", note DESC NULLS LAST" if rules.note else ""
    if rules.family == "arrival":
        order = f"arrival DESC, {_LISTED} DESC, nth DESC"
    won = f"SELECT * FROM typed WHERE good QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY {order}) = 1"
    return f"SELECT {rules.columns} FROM ({won})" + (" WHERE amount <> 0" if rules.family == "deletes" else "")


# -- what lies on disk


def _scan(root: Path, version: int | None) -> str:
    """SQL over the files of one version; empty text where there is no table or no row."""
    if not (root / "_delta_log").exists():
        return ""
    files = DeltaTable(root, version=version).file_uris()
    if not files:
        return ""
    kinds = ", hive_types = {'day': DATE}" if any("/day=" in file for file in files) else ""
    return f"read_parquet({files!r}, hive_partitioning = {bool(kinds)}, union_by_name = true{kinds})"


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    return Counter(connection.execute(sql).fetchall())


def _shown(row: tuple[Any, ...]) -> str:
    return "(" + ", ".join(map(str, row)) + ")"
