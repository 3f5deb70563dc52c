"""A drafted contract quarantines no row of the files it was drafted from, and says what was found."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tempfile
import zipfile
from datetime import date, datetime
from decimal import Decimal
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Lake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.draft.drafting import Draft, draft
from src.draft.landed import sources
from src.errors import BoathouseError, DataError, UsageError
from src.project import open_engine
from src.run import runs

DATA = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data"))


def drafted(lake: Lake, *names: str) -> list[Draft]:
    """The drafts of landed files; their contracts are written, over those that are there."""
    files = [lake.data / "landing" / name for name in names]
    with open_engine(lake.settings) as engine:
        found = [
            made
            for source in sources(lake.data / "landing", files)
            for made in draft(lake.settings, engine, source, runs.now())
        ]
    for made in found:
        made.path.parent.mkdir(parents=True, exist_ok=True)
        made.path.write_text(made.text, encoding="utf-8")
    return found


def one(lake: Lake, name: str, content: str | bytes) -> Draft:
    """The draft of one file."""
    lake.land(name, content)
    return drafted(lake, name)[0]


def types(found: Draft) -> dict[str, str]:
    return {column.name: column.type for column in found.columns}


def column(found: Draft, name: str) -> dict[str, Any]:
    """What the contract says of a column."""
    properties = yaml.safe_load(found.text)["schema"][0]["properties"]
    return dict(next(item for item in properties if item["name"] == name))


def server(found: Draft) -> dict[str, Any]:
    node: dict[str, Any] = yaml.safe_load(found.text)["servers"][0]
    return node | {item["property"]: item["value"] for item in node.pop("customProperties", [])}


def keeps_the_law(lake: Lake, *drafts: Draft) -> None:
    """Run the pipeline: every row is in silver, but for those that are equal to another."""
    run = lake.good()
    for found in drafts:
        step = lake.step(run, found.table)
        assert (step.quarantined, step.conflicts, step.superseded) == (0, 0, 0), found.text
        assert (step.inserted, step.duplicates) == (found.rows - found.duplicates, found.duplicates), found.text


# -- the law, of any file

WORDS = st.sampled_from(["NA", "-", "n/a", "unknown", "", " ", "null"])
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.dates(date(2020, 1, 1), date(2020, 2, 28))
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
FORMATS = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%b-%y", "%Y%m%d", "%B %d, %Y", "%Y/%m/%d"]
TIMES = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%Y-%m-%d %H:%M:%S.%f +00:00",
]
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8) | st.text(
    "'\"\\,;{}[]#:&*!|>% \u00a0\n0", max_size=5
)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False).map(str)


def german(number: int) -> str:
    return f"{number / 100:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")


COLUMNS = [
    st.integers(-(10**20), 10**20).map(str),
    st.integers(0, 3).map(str),
    st.integers(0, 99999).map("{:05d}".format),
    st.integers(1, 20000).map("{}.0".format),
    st.integers(1, 9999).map("{}.000".format),
    st.integers(-(10**7), 10**7).map(lambda number: f"{number / 100:.2f}"),
    st.integers(-(10**7), 10**7).map(lambda number: f"{number / 100:,.2f}"),
    st.integers(-(10**7), 10**7).map(german),
    st.integers(0, 10**6).map(lambda number: f"{german(number)} \u20ac"),
    st.integers(0, 10**6).map("{:,}".format),
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    NUMBERS,
    st.sampled_from(["true", "false", "True"]),
    st.sampled_from(["y", "n"]),
    st.sampled_from(["0", "1", "yes", "no"]),
    st.sampled_from(["2024-02-30", "2024-02-28", "30.02.2024", "28.02.2024"]),
    st.sampled_from(["01/02/2024", "03/04/2024", "31/01/2024"]),
    st.sampled_from(["24:00", "2024-01-01 24:00:00", "2024-01-01 00:00", "2024-01-01T10:00:00.1234567"]),
    st.sampled_from(["+4912345", "+4998765", "1.10", "1.1", "1e5", "1e400", "0x10", "1_000"]),
    st.sampled_from(['{"a": 1, "b": {"c": ""}}', '{"a": "NA", "b": {"c d": "2024-01-01"}}', "{}"]),
    st.sampled_from(['{"a": 1}', "[1]", '{"a": [1, {"b": 2}]}', "null"]),
    TEXT,
    WORDS,
    *(DAYS.map(methodcaller("strftime", form)) for form in FORMATS),
    *(MOMENTS.map(methodcaller("strftime", form)) for form in TIMES),
]
# fmt: off
NAMES = st.sampled_from([
    "id", "Id", "Order ID", "order_id", "date", "Day", "day", "on", "updated_at", "Total", "Total ", "total_2", "a b",
    "A  B", "rowid", "select", "group", "_x", "1", "Betrag \u20ac", "\u65e5\u4ed8", 'q"q', "it's", "#", "~a",
    "yes", "null", "x.y",
])
# fmt: on


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes]:
    """One file: columns of one kind each, some values of another, in one of several dialects."""
    width = draw(st.integers(1, 6))
    names = draw(st.lists(NAMES, min_size=width, max_size=width, unique_by=lambda name: name.strip().lower()))
    count = draw(st.integers(1, 30))
    columns = []
    for _ in names:
        kind = draw(st.sampled_from(COLUMNS))
        values = draw(st.lists(kind, min_size=count, max_size=count))
        if draw(st.integers(0, 3)) == 0:
            other = draw(st.sampled_from([WORDS, st.just(""), draw(st.sampled_from(COLUMNS))]))
            values[draw(st.integers(0, count - 1))] = draw(other)
        columns.append(values)
    rows = list(zip(*columns, strict=True))
    if draw(st.integers(0, 9)) == 0:
        objects = [dict(zip(names, row, strict=True)) for row in rows]
        return "ndjson", "".join(json.dumps(item) + "\n" for item in objects).encode()
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=draw(st.sampled_from(",;\t|")), lineterminator=draw(st.sampled_from(["\n", "\r\n"]))
    )
    writer.writerows([names, *rows])
    return "csv", text.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])), "replace")


def in_its_own(law: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "src/silver").mkdir(parents=True)
        (Path(folder) / "src/gold").mkdir()
        law(Lake(Path(folder)))


FILES = st.lists(tables(), min_size=4, max_size=4)


@settings(max_examples=2, derandomize=True, suppress_health_check=list(HealthCheck))
@given(FILES)
def test_every_row_of_any_file_passes_the_contract_that_is_drafted_from_it(files: list[tuple[str, bytes]]) -> None:
    every_row_passes(files)


@pytest.mark.long
@settings(max_examples=8, derandomize=True, suppress_health_check=list(HealthCheck))
@given(FILES)
def test_every_row_of_many_files_too(files: list[tuple[str, bytes]]) -> None:
    every_row_passes(files)


def every_row_passes(files: list[tuple[str, bytes]]) -> None:
    def law(lake: Lake) -> None:
        found: list[Draft] = []
        for at, (ending, content) in enumerate(files):
            lake.land(f"any/t{at}/1.{ending}", content)
            try:
                found += drafted(lake, f"any/t{at}/1.{ending}")
            except BoathouseError as error:  # bronze would refuse it, too
                assert error.where and str(lake.data) in str(error.where), error
                (lake.data / f"landing/any/t{at}/1.{ending}").unlink()
        rejected = [made for made in found if any("cannot be split" in note for note in made.notes)]
        for made in rejected:
            made.path.unlink()
        keeps_the_law(lake, *(made for made in found if made not in rejected))

    in_its_own(law)


# -- what a file says of itself


def test_an_office_file_with_title_rows_totals_and_signs_needs_no_line_of_a_person(lake: Lake) -> None:
    text = (
        "Umsatzbericht;;;\nStand: 01.06.2026;;;\n\nDatum;Kunde;Betrag \u20ac;Menge\n"
        "31.05.2026;M\u00fcller & S\u00f6hne;1.234,56 \u20ac;1.000\n"
        '01.06.2026;Gr\u00f6\u00dfe "XL";-12,00 \u20ac;3\n;Summe;1.222,56 \u20ac;1.003\n'
    )
    found = one(lake, "sales/report/1.csv", text.encode("cp1252"))
    said = {
        "delimiter": ";",
        "encoding": "cp1252",
        "quote": "",
        "header": 4,
        "skipFooter": 1,
        "decimal": ",",
        "thousands": ".",
    }
    assert said.items() <= server(found).items()
    keeps_the_law(lake, found)
    assert lake.rows("SELECT datum, kunde, betrag_eur, menge FROM silver.sales.report ORDER BY 1") == [
        (date(2026, 5, 31), "M\u00fcller & S\u00f6hne", Decimal("1234.56"), 1000),
        (date(2026, 6, 1), 'Gr\u00f6\u00dfe "XL"', Decimal("-12.00"), 3),
    ]


def test_a_column_has_the_narrowest_type_that_loses_nothing(lake: Lake) -> None:
    lines = ["Order ID,until,zip,customer_no,paid,amount,rate,day,sent,at,phone,app_version,big"]
    lines += [
        "1,17:30,00501,17850.0,yes,2.50,0.1234567,2024-01-31,31.01.2024,2024-01-31 10:00,+491,1.10,12345678901234567890"
    ]
    lines += ["2,9:05,90210,,no,-3,1e-9,2024-02-01,01.02.2024,2024-02-01T11:00:30Z,+492,1.1,1"]
    found = one(lake, "shop/orders/1.csv", "\n".join(lines))
    assert types(found) == {
        "order_id": "integer",
        "until": "time",
        "zip": "string",
        "customer_no": "integer",
        "paid": "boolean",
        "amount": "decimal(18,2)",
        "rate": "number",
        "day": "date",
        "sent": "date",
        "at": "timestamp",
        "phone": "string",
        "app_version": "string",
        "big": "string",
    }
    assert column(found, "order_id") == {
        "name": "order_id",
        "logicalType": "integer",
        "primaryKey": True,
        "transformLogic": '"Order ID"',
    }
    assert "required" not in column(found, "customer_no")
    assert column(found, "sent")["transformLogic"] == "strptime(sent, '%d.%m.%Y')"
    keeps_the_law(lake, found)


DATES: list[tuple[list[str], str | None]] = [
    (["01/02/2024", "03/04/2024"], None),  # in January or in February
    (["01/02/2024", "31/04/2024"], None),  # there is no 31st of April
    (["01/02/2024", "30/04/2024"], "%d/%m/%Y"),
    (["01/02/2024", "04/30/2024"], "%m/%d/%Y"),
    (["10/17/2014", "4-Aug-09"], None),
    (["30/04/2024", "04/30/2024"], None),
    (["1.2.2024 5:07", "30.4.2024 23:59"], "%d.%m.%Y %H:%M"),
    (["2024-01-31 10:00:00.123 +02:00"] * 2, "%Y-%m-%d %H:%M:%S.%f %z"),
]


def test_the_form_of_a_date_is_not_guessed_and_both_are_shown(lake: Lake) -> None:
    drafts = [one(lake, f"shop/days{at}/1.csv", "\n".join(["day", *values])) for at, (values, _) in enumerate(DATES)]
    for found, (_, chosen) in zip(drafts, DATES, strict=True):
        said = column(found, "day").get("transformLogic")
        assert said == (f"strptime(day, '{chosen}')" if chosen else None)
        if chosen is None:
            note = found.columns[0].note
            assert types(found) == {"day": "string"}
            assert all(form in note for form in ("%d", "%m")), note
            assert note in found.text
    keeps_the_law(lake, *drafts)


def test_a_number_that_may_have_thousands_or_a_fraction_is_not_guessed(lake: Lake) -> None:
    unclear = one(lake, "shop/unclear/1.csv", "id;amount\n1;1.234\n2;5.000\n")
    assert (types(unclear)["amount"], "1234 or 1.234" in unclear.text) == ("string", True)
    thousands = one(lake, "shop/thousands/1.csv", "id;amount;price\n1;1.234;0,50\n2;5.000;1.000,25\n")
    assert types(thousands) == {"id": "integer", "amount": "integer", "price": "decimal(18,2)"}
    fraction = one(lake, "shop/fraction/1.csv", "id;amount;price\n1;1.234;0.50\n2;5.000;1.25\n")
    assert types(fraction) == {"id": "integer", "amount": "decimal(18,3)", "price": "decimal(18,2)"}
    english = one(lake, "shop/english/1.csv", 'id,amount\n1,"1,234"\n2,"5,000.50"\n')
    assert types(english)["amount"] == "decimal(18,2)"
    keeps_the_law(lake, unclear, thousands, fraction, english)
    assert lake.rows("SELECT sum(amount), sum(price) FROM silver.shop.thousands") == [(6234, Decimal("1000.75"))]


def test_a_word_is_nothing_only_where_that_makes_a_column_narrower(lake: Lake) -> None:
    text = "id,amount,day,country\n1,2.5,-,NA\n2,NA,2024-01-01,DE\n3,1,2024-01-02,FR\n"
    found = one(lake, "shop/orders/1.csv", text)
    assert server(found)["nullValues"] == ["-"]
    assert column(found, "amount")["transformLogic"] == "nullif(amount, 'NA')"
    keeps_the_law(lake, found)
    assert lake.rows("SELECT amount, day, country FROM silver.shop.orders WHERE id < 3 ORDER BY id") == [
        (Decimal("2.50"), None, "NA"),
        (None, date(2024, 1, 1), "DE"),
    ]


def test_a_rare_value_among_very_many_decides(lake: Lake) -> None:
    rows = [f"{number},{number % 7},2024-01-{number % 28 + 1:02d}" for number in range(60_000)]
    rows[31_415] = "31415,x,2024-02-30"
    found = one(lake, "shop/many/1.csv", "\n".join(["id,amount,day", *rows]))
    assert types(found) == {"id": "integer", "amount": "string", "day": "string"}
    assert "'x' (1)" in found.text
    assert found.key == ("id",)


def test_an_enumeration_needs_values_that_were_all_seen_often(lake: Lake) -> None:
    rows = [f"{number},{'open' if number % 3 else 'paid'},{'a' if number else 'b'}" for number in range(200)]
    found = one(lake, "shop/orders/1.csv", "\n".join(["id,status,kind", *rows]))
    assert column(found, "status")["enum"] == [{"value": "open"}, {"value": "paid"}]
    assert "enum" not in column(found, "kind")
    keeps_the_law(lake, found)


def test_the_key_is_the_smallest_set_that_tells_all_rows_apart(lake: Lake) -> None:
    rows = [f"{number // 3},{number % 3 + 1},{number},2024-01-01" for number in range(90)]
    found = one(lake, "shop/lines/1.csv", "\n".join(["order_id,line,amount,updated_at", *rows, rows[0]]))
    assert (found.key, found.sequence_by, found.duplicates) == (("order_id", "line"), "updated_at", 1)
    none = one(lake, "shop/nothing/1.csv", "id,v\n1,first\n1,second\n2,x\n")
    assert none.key == ()
    keeps_the_law(lake, found, none)


def test_nested_json_is_a_column_for_each_path(lake: Lake) -> None:
    text = '{"id": 1, "buyer": {"name": "A", "born": {"on": "2000-01-01"}}, "tags": [1, 2]}\n'
    text += '{"id": 2, "buyer": {"name": "", "e mail": "x@y"}}\n'
    found = one(lake, "shop/orders/1.json", text)
    assert types(found) == {
        "id": "integer",
        "buyer_name": "string",
        "buyer_born_on": "date",
        "buyer_e_mail": "string",
        "tags": "string",
    }
    keeps_the_law(lake, found)
    assert lake.rows("SELECT buyer_born_on, buyer_e_mail, tags FROM silver.shop.orders ORDER BY id") == [
        (date(2000, 1, 1), None, "[1,2]"),
        (None, "x@y", None),
    ]


def test_a_file_that_does_not_fit_the_others_is_shown_column_by_column(lake: Lake) -> None:
    lake.land("shop/orders/1.csv", "ID,Total Price,day\n1,5,2024-01-01\n")
    lake.land("shop/orders/2.csv", "ID,Total Price,day\n2,6,2024-01-02\n")
    lake.land("shop/orders/3.csv", "ID,Total  Price,day,extra\n3,6,tomorrow,x\n")
    (found,) = drafted(lake, "shop/orders")
    shown = {(misfit.file, misfit.column): misfit.what for misfit in found.misfits}
    assert set(shown) == {("shop/orders/3.csv", name) for name in ("Total  Price", "extra", "day")}
    assert 'coalesce("Total  Price", "Total Price")' in shown["shop/orders/3.csv", "Total  Price"]
    assert "tomorrow" in shown["shop/orders/3.csv", "day"]
    keeps_the_law(lake, found)


def test_lines_that_cannot_be_split_are_told_and_the_others_pass(lake: Lake) -> None:
    found = one(lake, "shop/orders/1.csv", "id,day\n1,2024-01-01\n2,2024-01-02,x\n3,2024-01-03\n")
    assert (found.rejected, types(found)) == (1, {"id": "integer", "day": "date"})
    assert any("shop/orders/1.csv row 2: expected 2 values, found 3" in note for note in found.notes)


def test_sheets_of_the_same_columns_are_one_table_and_others_a_table_each(lake: Lake) -> None:
    workbook(lake.land("shop/months/1.xlsx", ""), Jan=[["id", "name"], [1, "a"]], Feb=[["id", "name"], [2, "b"]])
    workbook(
        lake.land("shop/mixed/1.xlsx", ""), Orders=[["id"], [1]], People=[["Monthly"], [], ["name", "age"], ["x", 3]]
    )
    found = drafted(lake, "shop")
    assert [made.table for made in found] == [
        "silver.shop.mixed_orders",
        "silver.shop.mixed_people",
        "silver.shop.months",
    ]
    assert server(found[2])["sheet"] == "*"
    assert types(found[1]) == {"name": "string", "age": "integer"}
    keeps_the_law(lake, *found)


def test_files_in_an_archive_and_packed_ones_are_drafted_as_they_are_read(lake: Lake) -> None:
    with zipfile.ZipFile(lake.land("shop/orders/2024.zip", ""), "w") as archive:
        archive.writestr("a/1.csv", "id;price\n1;1,5\n")
        archive.writestr("a/2.CSV", "id;price\n2;2,5\n")
    lake.land("shop/orders/3.CSV.gz", gzip.compress(b"id;price\n3;3,5\n"))
    (found,) = drafted(lake, "shop/orders")
    assert (server(found)["path"], found.rows, types(found)) == (
        "shop/orders/*.csv",
        3,
        {"id": "integer", "price": "decimal(18,2)"},
    )
    keeps_the_law(lake, found)


def test_a_file_of_a_header_alone_is_text_and_promises_nothing(lake: Lake) -> None:
    found = one(lake, "shop/orders/1.csv", "id\tday\n")
    assert (server(found)["delimiter"], types(found)) == ("\t", {"id": "string", "day": "string"})
    assert (found.key, "required" in found.text) == ((), False)
    keeps_the_law(lake, found)


def workbook(path: Path, **sheets: list[list[object]]) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)


# -- the command


def test_a_contract_that_is_there_is_not_written_over(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(lake.land("shop/orders/1.csv", "id\n1\n"))
    assert lake.command("draft", file) == 0
    assert "next: make preview TABLE=shop.orders" in capsys.readouterr().out
    path = lake.root / "src/silver/shop/orders.yaml"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"orders\.yaml is there already"):
        lake.command("draft", file)
    assert lake.command("draft", file, "--stdout") == 0
    assert "id: silver.shop.orders" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8") == "mine"
    assert lake.command("draft", file, "--force") == 0
    assert "status: draft" in path.read_text(encoding="utf-8")


def test_a_file_outside_of_the_landing_zone_is_told_where_to_land(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "Orders 2024.csv").write_text("id\n1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not in the landing zone") as refused:
        lake.command("draft", str(tmp_path / "Orders 2024.csv"))
    assert "landing/<domain>/orders_2024 && cp " in str(refused.value)


def test_one_file_that_cannot_be_read_keeps_no_other_from_its_draft(lake: Lake) -> None:
    lake.land("shop/bad/1.parquet", "no")
    lake.land("shop/orders/1.csv", "id\n1\n")
    with pytest.raises(DataError, match="not a Parquet file"):
        lake.command("draft", str(lake.data / "landing"))
    assert [path.name for path in (lake.root / "src/silver/shop").iterdir()] == ["orders.yaml"]


def test_a_draft_leaves_nothing_but_the_contract(lake: Lake) -> None:
    one(lake, "shop/orders/1.csv", "id\n1\n")
    assert [path.name for path in lake.data.iterdir()] == ["landing"]


# -- real files


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not there")
def test_every_row_of_the_real_files_passes(lake: Lake) -> None:
    for name in ("scms", "connector_samples/fivetran+dbt_facebook_ads", "connector_samples/fivetran+dbt_ga4_export"):
        for path in sorted((DATA / name).glob("*.csv"))[:4]:
            lake.land(f"real/{path.stem}/{path.name}", path.read_bytes())
    for path in sorted((DATA / "online_retail").glob("*.csv"))[:3]:
        lake.land(f"real/lines/{path.name}", path.read_bytes())
    found = drafted(lake, "real")
    assert len(found) == 8
    assert {made.table: made.key for made in found}["silver.real.scms_delivery_history_dataset"] == ("id",)
    keeps_the_law(lake, *found)


def test_records_in_an_envelope_are_found_by_the_name_of_their_list(lake: Lake) -> None:
    rows = [{"id": n, "at": f"2024-01-{n:02}", "size": {"w": n}} for n in range(1, 25)]
    lake.land("api/tides/1.json", json.dumps({"meta": {"page": 1}, "data": {"items": rows[:12]}}, indent=1))
    lake.land("api/tides/2.json", json.dumps({"meta": {"page": 2}, "data": {"items": rows[12:]}}))
    lake.land("api/orders/1.json", json.dumps({"order": 1, "lines": [{"n": 1}, {"n": 2}]}))
    tides, orders = drafted(lake, "api/tides", "api/orders")
    assert "{property: recordPath, value: data.items}" in tides.text
    assert tides.notes == ("the records are in data.items (`recordPath`); what stands beside them is left out",)
    assert (tides.rows, tides.key) == (24, ("id",))
    assert orders.rows == 1  # a list may as well belong to the record
    assert orders.notes == (
        "lines is a list of objects: if these are the records, write `recordPath: lines` at the server",
    )
    lake.good()
    assert lake.rows("SELECT count(*), max(id), max(size_w) FROM silver.api.tides") == [(24, 24, 24)]
