"""The sample company's feed: the same seed and day give the same bytes, with the defects it promises."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from src.demo import company, sales
from src.errors import MachineError

FRIDAY = date(2026, 3, 27)


def lines(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))[1:]


def is_sound(row: list[str]) -> bool:
    invoice, _, _, quantity, at, price, *_ = [*row, *[""] * 8][:8]
    fits = re.fullmatch(r"[AC]?\d{6}", invoice) and re.fullmatch(r"-?\d+", quantity)
    return bool(fits and re.fullmatch(r"-?\d+\.\d{1,3}", price) and "-02-30" not in at)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """Thirty days of files, by name."""
    landed = sales.land(tmp_path_factory.mktemp("landing"), days=30, last=FRIDAY, seed=7)
    return {path.name: lines(path.read_text()) for path in landed}


def test_the_same_seed_and_day_give_the_same_bytes_everywhere() -> None:
    text = sales.day(FRIDAY, 7)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "6953f6f37db527fba20461a2928cec9fcfc3542ccef28e63c1e754e16ece4b7b"
    )


def test_another_seed_or_day_gives_other_lines() -> None:
    texts = {sales.day(FRIDAY, 7), sales.day(FRIDAY, 8), sales.day(FRIDAY - timedelta(days=1), 7)}
    assert len(texts) == 3


def test_a_file_is_the_same_whatever_else_is_landed(tmp_path: Path) -> None:
    sales.land(tmp_path / "many", days=9, last=FRIDAY, seed=7)
    sales.land(tmp_path / "one", days=1, last=FRIDAY, seed=7)
    many, one = (tmp_path / name / sales.FEED / f"{FRIDAY}.csv" for name in ("many", "one"))
    assert many.read_bytes() == one.read_bytes() == sales.day(FRIDAY, 7).encode()


def test_files_land_below_the_feed_named_by_their_day_and_none_on_saturdays(tmp_path: Path) -> None:
    landed = sales.land(tmp_path, days=7, last=FRIDAY, seed=7)
    assert [str(path.relative_to(tmp_path)) for path in landed] == [
        "sales/order_lines/2026-03-22.csv",
        "sales/order_lines/2026-03-23.csv",
        "sales/order_lines/2026-03-23-late.csv",
        "sales/order_lines/2026-03-24.csv",
        "sales/order_lines/2026-03-25.csv",
        "sales/order_lines/2026-03-26.csv",
        "sales/order_lines/2026-03-27.csv",
    ]
    assert sorted(landed) == sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_a_closed_day_has_the_header_only() -> None:
    saturday, christmas = date(2026, 3, 21), date(2025, 12, 25)
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    assert sales.day(saturday, 7) == sales.day(christmas, 7) == header
    assert sales.day(FRIDAY, 7).startswith(header)


def test_files_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    mine = tmp_path / sales.FEED / f"{FRIDAY}.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    landed = sales.land(tmp_path, days=2, last=FRIDAY, seed=7)
    assert [path.name for path in landed] == ["2026-03-26.csv"]
    assert mine.read_text() == "mine"
    assert sales.land(tmp_path, days=2, last=FRIDAY, seed=7) == []


def test_a_new_file_carries_the_time_its_day_ended(tmp_path: Path) -> None:
    (path,) = sales.land(tmp_path, days=1, last=date(2024, 3, 6), seed=7)
    assert path.stat().st_mtime == 1709755200  # 2024-03-06 20:00 UTC


def test_a_landing_zone_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "sales").write_text("a file in the way")
    with pytest.raises(MachineError, match=f"{FRIDAY}.csv"):
        sales.land(tmp_path, days=1, last=FRIDAY, seed=7)


def test_about_one_line_in_a_hundred_comes_twice_within_its_day(files: dict[str, list[list[str]]]) -> None:
    copies = sum(count - 1 for rows in files.values() for count in Counter(map(tuple, rows)).values())
    assert 0.008 < copies / sum(map(len, files.values())) < 0.012


def test_every_day_opens_with_the_last_lines_of_the_day_before(files: dict[str, list[list[str]]]) -> None:
    days = [rows for name, rows in files.items() if "late" not in name]
    for before, today in pairwise(days):
        known = set(map(tuple, before))
        again = [row for row in today if tuple(row) in known]
        assert 3 <= len(again) <= 10
        assert again == today[: len(again)]


def test_late_lines_are_one_to_nine_days_old_and_in_no_other_file(files: dict[str, list[list[str]]]) -> None:
    seen: set[tuple[str, ...]] = set()
    late: Counter[str] = Counter()
    for name, rows in files.items():
        arrived = date.fromisoformat(name[:10])
        for row in filter(is_sound, rows):
            age = (arrived - date.fromisoformat(row[4][:10])).days
            late[name] += age > 0 and tuple(row) not in seen
            assert 0 <= age <= 9
        seen |= {tuple(row) for row in rows}
    assert all(late[name] == len(rows) for name, rows in files.items() if "late" in name)
    assert all(late[name] > 0 for name in files if "late" in name or date.fromisoformat(name[:10]).weekday() > 0)


def test_about_half_a_percent_is_dirty_in_every_way_promised(files: dict[str, list[list[str]]]) -> None:
    dirty = [row for rows in files.values() for row in rows if not is_sound(row)]
    assert 0.004 < len(dirty) / sum(map(len, files.values())) < 0.006
    assert any(row[0] == "" for row in dirty)
    assert any(len(row) == 4 for row in dirty)
    whole = [row for row in dirty if len(row) == 8]
    assert {"twelve"} <= {row[3] for row in whole}
    assert {"1,234.50", "NaN"} <= {row[5] for row in whole}
    assert "2026-02-30 10:15:00" in {row[4] for row in whole}


def test_cancellations_reverse_a_line_of_the_day_before(files: dict[str, list[list[str]]]) -> None:
    sold = {tuple(row[1:4] + row[5:]) for rows in files.values() for row in rows if len(row) == 8}
    back = [
        row for name, rows in files.items() if name > "2026-03" for row in filter(is_sound, rows) if row[0][0] == "C"
    ]
    reversed_lines = {(code, name, quantity.removeprefix("-"), *rest) for _, code, name, quantity, _, *rest in back}
    assert all(row[3].startswith("-") for row in back)
    # the rest reverse lines that were damaged in the file that had them
    assert len(reversed_lines & sold) > 0.98 * len(reversed_lines)
    assert 0.01 < len(back) / sum(map(len, files.values())) < 0.03


def test_a_correction_reverses_the_wrong_line_and_writes_the_right_one(files: dict[str, list[list[str]]]) -> None:
    rows = [row for row in files["2026-03-27.csv"] if is_sound(row)]
    by_number = {row[0]: row for row in rows}
    pairs = [(row, by_number.get(str(int(row[0][1:]) + 1))) for row in rows if row[0][0] == "C"]
    corrections = [
        (wrong, right) for wrong, right in pairs if right and right[1:3] + right[5:] == wrong[1:3] + wrong[5:]
    ]
    assert len(corrections) >= 2
    assert all(int(right[3]) > -int(wrong[3]) > 0 for wrong, right in corrections)


def test_invoice_numbers_have_six_digits_and_belong_to_one_day(files: dict[str, list[list[str]]]) -> None:
    days_of: dict[str, set[str]] = {}
    for rows in files.values():
        for row in filter(is_sound, rows):
            days_of.setdefault(row[0][-6:], set()).add(row[4])
    assert all(re.fullmatch(r"[1-9]\d{5}", number) for number in days_of)
    assert all(len(stamps) == 1 for stamps in days_of.values())


def test_the_lines_look_like_a_real_shops(files: dict[str, list[list[str]]]) -> None:
    rows = [row for rows in files.values() for row in rows if is_sound(row)]
    share = {
        "without customer": sum(row[6] == "" for row in rows) / len(rows),
        "at home": sum(row[7] == "United Kingdom" for row in rows) / len(rows),
        "outer blanks": sum(row[2] != row[2].strip() for row in rows) / len(rows),
    }
    assert 0.2 < share["without customer"] < 0.3
    assert 0.85 < share["at home"] < 0.95
    assert 0.1 < share["outer blanks"] < 0.3
    assert all(row[6] == "" or re.fullmatch(r"1\d{4}\.0", row[6]) for row in rows)
    assert any('"' in row[2] for row in rows)
    assert any("," in row[2] for row in rows)
    assert {len(row[5].partition(".")[2]) for row in rows} == {1, 2, 3}


def test_sundays_are_quieter_than_thursdays_and_november_busier_than_february() -> None:
    def size(day: date) -> int:
        return len(lines(sales.day(day, 7)))

    weeks = [timedelta(weeks=week) for week in range(4)]
    assert sum(size(date(2026, 2, 1) + week) for week in weeks) < sum(size(date(2026, 2, 5) + week) for week in weeks)
    assert sum(size(date(2026, 2, 5) + week) for week in weeks) < sum(size(date(2026, 11, 5) + week) for week in weeks)


def test_bad_debt_is_rare_and_on_an_a_invoice() -> None:
    days = (date(2026, 1, 2) + timedelta(days=day) for day in range(90))
    debts = [row for day in days for row in lines(sales.day(day, 7)) if row[0].startswith("A")]
    assert 1 <= len(debts) <= 9
    assert all(row[1:4] == ["B", "Adjust bad debt", "1"] and row[6] == "" for row in debts)


def test_the_shop_sells_the_devices_that_the_company_makes(files: dict[str, list[list[str]]]) -> None:
    sold: Counter[str] = Counter()
    for row in (row for rows in files.values() for row in filter(is_sound, rows)):
        sold[row[1]] += int(row[3]) if row[0].isdigit() and row[3].isdigit() else 0
    assert all(sold[model.number] > 20 for model in company.DEVICES)


def test_orders_are_the_sales_that_name_a_customer() -> None:
    rows = [row for row in lines(sales.day(FRIDAY, 7)) if len(row) == 8]
    ordered = sales.orders(FRIDAY, 7)
    assert len(ordered) > 40
    assert {order.number for order in ordered} <= {row[0] for row in rows if row[6] and row[0].isdigit()}
    first = dict.fromkeys(tuple(row) for row in rows if row[0] == ordered[5].number)
    assert ordered[5].amount == sum(int(row[3]) * Decimal(row[5]) for row in first)
    assert sales.orders(date(2024, 3, 9), 7) == []  # a Saturday
