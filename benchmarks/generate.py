"""Order lines as a shop would deliver them: one file a day, with what real deliveries get wrong; same seed, same rows.

A day's file is a function of the seed, the day and its size. Of its rows 2.5 % stand in it twice, 2.5 % were
delivered up to three days ago already, 2 % are late corrections (the same key, a newer updated_at) of orders up
to seven days back, and 0.5 % are dirty: no key, no number, no date. Everything else is drawn from the hash of a
row's own number, so that no file needs another one.

Usage: python -m benchmarks.generate FOLDER ROWS [--days 365] [--format csv|ndjson|parquet] [--increment ROWS]
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

COLUMNS = [
    *("order_id", "line_id", "customer_id", "product_id", "country", "quantity", "unit_price"),
    *("tax", "discount", "currency", "order_ts", "updated_at", "status", "note"),
]
FORMATS = {"csv": "FORMAT csv, HEADER", "ndjson": "FORMAT json", "parquet": "FORMAT parquet, COMPRESSION zstd"}
TODAY = date(2026, 1, 1)  # the day of an increment: the history ends the day before
TWICE, AGAIN, LATE = 0.025, 0.025, 0.02  # shares of a day's rows
DIRTY_ONE_IN = 200
_LINES_A_DAY = 1_000_000  # room for the lines of one day, and for their orders, at three lines each
_ORDERS_A_DAY = 400_000


@dataclass(frozen=True)
class History:
    """So many rows spread evenly over the days before TODAY."""

    rows: int
    days: int = 365
    seed: int = 7

    @property
    def rows_a_day(self) -> int:
        return self.rows // self.days

    @property
    def name(self) -> str:
        """A folder's name; another generator makes another folder."""
        made_by = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
        return f"{self.rows}-rows-{self.days}-days-seed-{self.seed}-{made_by}"

    def date(self, day: int) -> date:
        return TODAY - timedelta(days=self.days - day)


def history(folder: Path, orders: History, form: str = "csv") -> Path:
    """The folder with one file for each day of a history, made where it is not there yet."""
    target = folder / orders.name / form
    if not target.is_dir():
        making = target.with_name(f"{form}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        with duckdb.connect(config={"threads": 1}) as connection, ThreadPoolExecutor(2) as threads:
            days = range(orders.days)
            list(threads.map(lambda day: _write(connection, orders, day, orders.rows_a_day, 7, making, form), days))
        making.rename(target)  # whole or not at all: a folder of this name can be trusted
    return target


def increment(folder: Path, orders: History, rows: int, form: str = "csv", back: int = 7) -> Path:
    """The file of the day after a history; its late corrections go `back` days back."""
    target = folder / orders.name / f"increment-{rows}-rows-{back}-days-{form}"
    if not target.is_dir():
        making = target.with_name(f"{target.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        with duckdb.connect() as connection:
            _write(connection, orders, orders.days, rows, back, making, form)
        making.rename(target)
    return next(target.iterdir())


def _write(
    connection: duckdb.DuckDBPyConnection, orders: History, day: int, rows: int, back: int, folder: Path, form: str
) -> None:
    target = folder / f"orders_{orders.date(day)}.{form}"
    with connection.cursor() as cursor:  # a cursor of its own for each thread
        cursor.execute(f"COPY ({_day(orders, day, rows, back)}) TO '{target}' ({FORMATS[form]})")


# -- the rows of a day: numbers first, then the text that a shop would write for them


def _day(orders: History, day: int, rows: int, back: int) -> str:
    """SELECT of the rows of one day's file, in an order of no meaning."""
    numbers = _numbers(orders, day, rows, back)
    return f"SELECT {', '.join(COLUMNS)} FROM ({_text(orders, day, numbers)}) ORDER BY hash(place)"


def _numbers(orders: History, day: int, rows: int, back: int) -> str:
    """Which order lines a day's file holds: the day they were ordered (`made`), their number in it (`nth`)."""
    twice, again, late = (round(rows * share) for share in (TWICE, AGAIN, LATE))
    new = rows - twice - again - late
    a_day = orders.rows_a_day - sum(round(orders.rows_a_day * share) for share in (TWICE, AGAIN, LATE))
    earlier = f"range({again if day else 0}) r(k)", f"range({late if day else 0}) r(k)"

    def draw(salt: int, below: int) -> str:
        return _drawn(orders, f"({day} * {_LINES_A_DAY} + k)", salt + 64, below)

    return (
        f"SELECT {day} AS made, k AS nth, {new} AS day_size, false AS corrected, k AS place FROM range({new}) r(k) "
        f"UNION ALL SELECT {day}, {draw(1, new)}, {new}, false, {rows} + k FROM range({twice}) r(k) "
        f"UNION ALL SELECT {day} - 1 - {draw(2, max(1, min(3, day)))}, {draw(3, a_day)}, {a_day}, false, "
        f"{2 * rows} + k FROM {earlier[0]} "
        f"UNION ALL SELECT {day} - 1 - {draw(4, max(1, min(back, day)))}, {draw(5, a_day)}, {a_day}, true, "
        f"{3 * rows} + k FROM {earlier[1]}"
    )


def _drawn(orders: History, number: str, salt: int, below: int) -> str:
    """SQL of a whole number from 0 to below - 1 that a row's number and a salt (below 128) decide.

    One value is hashed, not several together: these would give draws that depend on each other.
    """
    return f"(hash({number} * 128 + {salt + (orders.seed << 45)}) % {below})::BIGINT"


class _Draws:
    """SQL of values that the number of a line decides, each draw with a salt of its own."""

    def __init__(self, orders: History) -> None:
        self._orders = orders
        self._salt = iter(range(64))

    def below(self, limit: int) -> str:
        return _drawn(self._orders, "line", next(self._salt), limit)

    def one_of(self, words: str) -> str:
        chosen = words.split("|")
        return f"split('{words}', '|')[1 + {self.below(len(chosen))}]"

    def cents(self, limit: int, least: int = 0) -> str:
        return f"printf('%.2f', ({self.below(limit)} + {least}) / 100.0)"


def _lines(orders: History, draws: _Draws, numbers: str) -> str:
    """For each line its number, when it was ordered, from where, and what is dirty in it: 0 to 3, or -1."""
    return f"""
    SELECT
        *,
        CASE WHEN {draws.below(DIRTY_ONE_IN)} = 0 AND NOT corrected THEN {draws.below(4)} ELSE -1 END AS dirty,
        split('{_LANDS}', '|')[1 + least({draws.below(25)}, {draws.below(25)})] AS land,
        TIMESTAMP '{orders.date(0)}' + to_days(made::INT) + to_seconds(nth // 3 * 3 * 86400 // day_size) AS ordered
    FROM (SELECT *, made * {_LINES_A_DAY} + nth AS line FROM ({numbers}))"""


def _text(orders: History, day: int, numbers: str) -> str:
    """The columns of order lines as a shop writes them; a row's values follow from `made` and `nth` alone."""
    draws = _Draws(orders)
    below, one_of, cents = draws.below, draws.one_of, draws.cents
    # a correction is always newer than the row it corrects: that one changed before two in the morning
    changed = f"CASE WHEN corrected THEN TIMESTAMP '{orders.date(day)} 02:00:00' + to_seconds({below(79_000)}) "
    return f"""
    SELECT
        place,
        CASE WHEN dirty = 1 THEN '' ELSE (1000000 + made * {_ORDERS_A_DAY} + nth // 3)::VARCHAR END AS order_id,
        (nth % 3 + 1)::VARCHAR AS line_id,
        ({below(500_000)} + 1)::VARCHAR AS customer_id,
        'P' || lpad({below(5_000)}::VARCHAR, 5, '0') AS product_id,
        CASE WHEN {below(50)} = 0 THEN ' ' || lower(land) || ' ' ELSE land END AS country,
        CASE WHEN dirty = 2 THEN 'x' || {below(9)} ELSE ({below(9)} + 1 + corrected::INT)::VARCHAR END AS quantity,
        CASE WHEN dirty = 3 THEN '12,5O' ELSE {cents(50_000, least=100)} END AS unit_price,
        {cents(900)} AS tax,
        CASE WHEN {below(5)} = 0 THEN {cents(100)} ELSE '0.00' END AS discount,
        {one_of("EUR|USD|GBP|SEK")} AS currency,
        CASE WHEN dirty = 0 THEN '2025-13-45 99:00:00' ELSE strftime(ordered, '%Y-%m-%d %H:%M:%S') END AS order_ts,
        strftime({changed} ELSE ordered + to_seconds({below(7_200)}) END, '%Y-%m-%d %H:%M:%S') AS updated_at,
        CASE WHEN corrected THEN 'corrected' ELSE {one_of("new|paid|shipped|delivered")} END AS status,
        CASE {below(1_000)} // 333
            WHEN 0 THEN '' WHEN 3 THEN {one_of(_WORDS)} || chr(10) || {one_of(_WORDS)}
            ELSE {one_of(_WORDS)} || ' ' || {one_of(_WORDS)} || ' ' || {one_of(_WORDS)} END AS note
    FROM ({_lines(orders, draws, numbers)})"""


_LANDS = "DE|FR|IT|ES|PL|SE|NO|DK|FI|NL|BE|AT|CH|PT|IE|CZ|GB|US|CA|MX|BR|JP|AU|IN|ZA"
_WORDS = (
    'please|deliver|before|noon|call, then ring|leave at door|gift|"fragile"|ok|customer asked|twice|line|blue|'
    "size XL|n/a|urgent|see ticket|refund?|no|thanks"
)


def main(typed: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--format", choices=FORMATS, default="csv")
    parser.add_argument("--increment", type=int, help="rows of the day after the history, instead of the history")
    parser.add_argument("--back", type=int, default=7, help="how many days back its corrections go")
    words = parser.parse_args(typed)
    orders = History(words.rows, words.days)
    if words.increment:
        print(increment(words.folder, orders, words.increment, words.format, words.back))
    else:
        print(history(words.folder, orders, words.format))


if __name__ == "__main__":
    main(sys.argv[1:])
