"""A feed that is wrong gives one message, which finds the cause; what it tells to write makes the feed right."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from conftest import Lake

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: shop.{name}
version: 1.0.0
status: active
servers:
  - {{server: {name}, type: local, path: "shop/{name}/*.csv", format: csv{options}}}
schema:
  - name: {name}
    properties:
      - {{name: id, logicalType: integer, primaryKey: true}}
{columns}
"""
OPTIONS = re.compile(r"`customProperties: (\[.*?\])` at server")
PROPERTY = re.compile(r"`(\{property: .*?\})` in the customProperties of server")
LOGIC = re.compile(r"write `(transformLogic: .*?|logicalType: .*?)` at (\w+)")


@dataclass(frozen=True)
class Wrong:
    """A feed whose contract does not fit its files: columns, rows, and the cause and fix that are told of it."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]  # the header first
    said: str
    fix: str
    right: tuple[object, ...]  # the first row, once what the fix says is written
    options: str = ""

    @property
    def text(self) -> str:
        return "".join(f"{row}\n" for row in self.rows)

    def contract(self, name: str) -> str:
        columns = "\n".join(f"      - {{{column}}}" for column in self.columns)
        return CONTRACT.format(name=name, options=self.options, columns=columns)

    def corrected(self, name: str) -> str:
        """The contract with what the fix says written into it, as a person would."""
        contract = self.contract(name)
        options = [*OPTIONS.findall(self.fix)]
        options += [f"[{', '.join(found)}]" for found in (PROPERTY.findall(self.fix),) if found]
        added = [f", customProperties: {text}" for text in options]
        contract = contract.replace("format: csv", "format: csv" + "".join(added))
        for text, column in LOGIC.findall(self.fix):
            old = next(line for line in contract.splitlines() if f"name: {column}," in line)
            kept = re.sub(r", transformLogic: (\"[^\"]*\"|[^,}]*)", "", old)
            kept = re.sub(r", logicalType: \w+", "", kept) if text.startswith("logicalType") else kept
            contract = contract.replace(old, kept.replace("}", f", {text}}}"))
        return contract


DAY, AMOUNT = "name: day, logicalType: date", 'name: amount, logicalType: number, physicalType: "decimal(9,2)"'
SEMICOLON = ', delimiter: ";"'
FEEDS = {
    "decimals": Wrong(
        (AMOUNT, AMOUNT.replace("amount", "tax")),
        ("id;amount;tax", "1;1,50;0,20", "2;-12,00;3,1"),
        "  2 rows: amount, tax: cannot read 1,50 as decimal(9,2)\n"
        '    such as shop/decimals/1.csv, row 1: {"id":"1","amount":"1,50","tax":"0,20"}\n'
        "    the numbers have a decimal comma\n"
        "  the contract looks wrong: every row of every file is rejected for this",
        'write `customProperties: [{property: decimal, value: ","}]` at server decimals',
        (1, "1.50", "0.20"),
        SEMICOLON,
    ),
    "thousands": Wrong(
        (AMOUNT,),
        ("id;amount", "1;1.234,56", "2;1.000.000,00"),
        "    the numbers have a decimal comma and a point between thousands\n",
        "write `customProperties: "
        '[{property: decimal, value: ","}, {property: thousands, value: "."}]` at server thousands',
        (1, "1234.56"),
        SEMICOLON,
    ),
    "currency": Wrong(
        (AMOUNT,),
        ("id;amount", "1;$1.50", "2;$ 20"),
        "    every value has $ beside the number\n",
        """write `transformLogic: "trim(replace(amount, '$', ''))"` at amount""",
        (1, "1.50"),
        SEMICOLON,
    ),
    "fractions": Wrong(
        ("name: weight, logicalType: integer",),
        ("id,weight", "1,1.5", "2,20.25"),
        "    the numbers have up to 2 digits before the point and 2 behind it\n",
        'write `logicalType: number, physicalType: "decimal(18,2)"` at weight',
        (1, "1.50"),
    ),
    "dates": Wrong(
        (DAY, "name: due, logicalType: date"),
        ("id,day,due", "1,31.12.2023,02.01.2024", "2,01.02.2024,29.02.2024"),
        "  2 rows: day, due: cannot read 31.12.2023 as date\n"
        '    such as shop/dates/1.csv, row 1: {"id":"1","day":"31.12.2023","due":"02.01.2024"}\n'
        "    every value is written %d.%m.%Y\n",
        """write `transformLogic: "strptime(day, '%d.%m.%Y')"` at day, """
        """write `transformLogic: "strptime(due, '%d.%m.%Y')"` at due""",
        (1, "2023-12-31", "2024-01-02"),
    ),
    "american": Wrong(
        ("name: at, logicalType: timestamp",),
        ("id,at", "1,12/31/2023 11:05 PM", "2,1/2/2024 1:00 AM"),
        "    every value is written %m/%d/%Y %I:%M %p\n",
        """write `transformLogic: 'strptime("at", ''%m/%d/%Y %I:%M %p'')'` at at""",
        (1, "2023-12-31 23:05:00+00"),
    ),
    "mixed_dates": Wrong(
        (DAY,),
        ("id,day", "1,31.12.2023", "2,20240102", "3,13.05.2024"),
        "    the values are written %d.%m.%Y and %Y%m%d\n",
        """write `transformLogic: "strptime(day, ['%d.%m.%Y', '%Y%m%d'])"` at day""",
        (1, "2023-12-31"),
    ),
    "other_format": Wrong(
        ("name: day, logicalType: date, transformLogic: \"strptime(tag, '%d.%m.%Y')\"",),
        ("id,tag", "1,31/12/2023", "2,01/02/2024"),
        "    every value is written %d/%m/%Y\n",
        """write `transformLogic: "strptime(tag, '%d/%m/%Y')"` at day""",
        (1, "2023-12-31"),
    ),
    "epochs": Wrong(
        ("name: at, logicalType: timestamp",),
        ("id,at", "1,1704067200", "2,1704067201"),
        "    every value is a number of seconds since 1970\n",
        """write `transformLogic: 'to_timestamp("at"::bigint)'` at at""",
        (1, "2024-01-01 00:00:00+00"),
    ),
    "truths": Wrong(
        ("name: open, logicalType: boolean",),
        ("id,open", "1,ja", "2,nein"),
        "    the values are ja, nein\n",
        """write `transformLogic: "CASE lower(open) WHEN 'ja' THEN true WHEN 'nein' THEN false END"` at open""",
        (1, "true"),
    ),
    "nothings": Wrong(
        (AMOUNT,),
        ("id;amount", "1;n/a", "2;-"),
        "    the values are -, n/a\n",
        'if they mean that nothing is known, write `{property: nullValues, value: ["-", "n/a"]}` '
        "in the customProperties of server nothings",
        (1, None),
        SEMICOLON,
    ),
}
EITHER = Wrong(
    (DAY,),
    ("id,day", "1,01/02/2024", "2,03/04/2024"),
    "    every value fits %d/%m/%Y and %m/%d/%Y\n",
    """write `transformLogic: "strptime(day, '%d/%m/%Y')"` at day or """
    """write `transformLogic: "strptime(day, '%m/%d/%Y')"` at day, whichever is meant""",
    (),
)
WIDTH = Wrong(
    (AMOUNT,),
    ("id,amount", "1,1,50", "2,2,00"),
    "    the header has 2 columns, the rows have 3 values\n",
    'name every column in the header, or quote values in which there is a ","',
    (),
)
NEVER = Wrong(
    ("name: half, logicalType: integer, transformLogic: \"(n || 'x')::int\"",),
    ("id,n", "1,7", "2,9"),
    "    the engine says: Conversion Error: Could not convert string '7x' to INT32, in `(n || 'x')::int`\n",
    "correct ",
    (),
)
UNFIXED = {"either": EITHER, "width": WIDTH, "never": NEVER}


def test_a_feed_that_is_wrong_gives_one_message_with_its_cause_and_what_it_says_to_write_makes_it_right(
    lake: Lake,
) -> None:
    for name, wrong in (FEEDS | UNFIXED).items():
        lake.write(f"silver/shop/{name}.yaml", wrong.contract(name))
        lake.land(f"shop/{name}/1.csv", wrong.text)
    failures = {name.removeprefix("silver.shop."): str(error) for name, error in lake.run().failures.items()}
    assert set(failures) == {*FEEDS, *UNFIXED}
    for name, wrong in (FEEDS | UNFIXED).items():
        assert failures[name].startswith(f"{len(wrong.rows) - 1} of {len(wrong.rows) - 1} rows were rejected"), name
        assert wrong.said in failures[name] + "\n", failures[name]
        assert f"\n  fix:   {wrong.fix}" in failures[name], failures[name]
        assert failures[name].count(" rows: ") == 1, failures[name]
    for name, wrong in FEEDS.items():
        lake.write(f"silver/shop/{name}.yaml", wrong.corrected(name))
    assert set(lake.run().failures) == {f"silver.shop.{name}" for name in UNFIXED}
    for name, wrong in FEEDS.items():
        columns = ", ".join(f'"{re.search("name: (.*?),", column)[1]}"::VARCHAR' for column in wrong.columns)  # type: ignore[index]
        assert lake.rows(f"SELECT id, {columns} FROM silver.shop.{name} ORDER BY id")[0] == wrong.right, name


def test_the_note_of_a_small_load_that_is_mostly_rejected_names_the_cause(lake: Lake) -> None:
    lake.write("silver/shop/days.yaml", Wrong((DAY,), (), "", "", ()).contract("days"))
    lake.land("shop/days/1.csv", "id,day\n1,2024-01-31\n")
    lake.good()
    lake.land("shop/days/2.csv", "id,day\n2,31.12.2023\n3,01.02.2024\n")
    assert lake.step(lake.good(), "silver.shop.days").notes == (
        "2 of 2 rows were rejected: day: cannot read 31.12.2023 as date; every value is written %d.%m.%Y: "
        """write `transformLogic: "strptime(day, '%d.%m.%Y')"` at day"""
    )


def test_values_that_do_not_all_bear_a_cause_out_are_told_without_one(lake: Lake) -> None:
    lake.write("silver/shop/dates.yaml", Wrong((DAY,), (), "", "", ()).contract("dates"))
    lake.land("shop/dates/1.csv", "id,day\n1,31.12.2023\n2,soon\n")
    error = str(lake.run().failures["silver.shop.dates"])
    assert error.splitlines()[1:4] == [
        "  2 rows: day: cannot read 31.12.2023 as date",
        """    such as shop/dates/1.csv, row 1: {"id":"1","day":"31.12.2023"}""",
        "  the contract looks wrong: every row of every file is rejected for this",
    ]


def test_a_column_that_a_file_calls_otherwise_is_told_with_the_nearest_name(lake: Lake) -> None:
    price = "name: total_price, logicalType: integer"
    for name, header in (("blank", "Total  Price"), ("far", "Summe")):
        lake.write(f"silver/shop/{name}.yaml", Wrong((price,), (), "", "", ()).contract(name))
        lake.land(f"shop/{name}/1.csv", f"ID,{header}\n1,5\n")
    used = 'name: total_price, logicalType: integer, transformLogic: "betrag::int * 2"'
    lake.write("silver/shop/used.yaml", Wrong((used,), (), "", "", ()).contract("used"))
    lake.land("shop/used/1.csv", "id,Betrag €\n1,5\n")
    said = {name: str(error).splitlines() for name, error in lake.run().failures.items()}
    blank, far, used_ = (said[f"silver.shop.{name}"] for name in ("blank", "far", "used"))
    assert blank[0] == 'no file has a column total_price; the columns there are: ID, "Total  Price"'
    assert blank[2] == """  fix:   is it "Total  Price"? write `transformLogic: '"Total  Price"'` at total_price"""
    assert far[0] == "no file has a column total_price; the columns there are: ID, Summe"
    assert far[2] == "  fix:   name the columns as the files do, or correct the files"
    assert used_[0] == (
        'transformLogic of total_price: no file has a column betrag; the columns there are: id, "Betrag €"'
    )
    assert used_[2] == '  fix:   is it "Betrag €"? name the columns as the files do, or correct the files'


def test_a_later_file_that_calls_a_column_otherwise_is_told_with_both_names(lake: Lake) -> None:
    amount = f"{AMOUNT}, required: true"
    lake.write("silver/shop/sales.yaml", Wrong((amount,), (), "", "", ()).contract("sales"))
    lake.land("shop/sales/1.csv", "id,amount\n1,5\n")
    lake.good()
    lake.land("shop/sales/2.csv", "id,Amount EUR\n" + "".join(f"{number},5\n" for number in range(2, 32)))
    error = str(lake.run().failures["silver.shop.sales"])
    assert "  30 rows: amount: required, but there is nothing\n" in error
    assert "\n    shop/sales/2.csv has no column amount; it has id, Amount EUR\n" in error
    assert """if "Amount EUR" is meant, write `transformLogic: 'coalesce(amount, "Amount EUR")'` at amount""" in error


def test_an_expression_that_no_engine_takes_is_a_contract_error_before_a_row_is_read(lake: Lake) -> None:
    bad = 'name: day, logicalType: date, transformLogic: "{}"'
    for name, logic in (
        ("form", "strptime(tag, '%d.%Q')"),
        ("function", "to_date_x(tag)"),
        ("never", "error('odd: ' || tag)::date"),
    ):
        lake.write(f"silver/shop/{name}.yaml", Wrong((bad.format(logic),), (), "", "", ()).contract(name))
        lake.land(f"shop/{name}/1.csv", "id,tag\n1,31.12.2023\n")
    failures = lake.run().failures
    form, function, never = (str(failures[f"silver.shop.{name}"]) for name in ("form", "function", "never"))
    assert never.splitlines()[0] == (
        "transformLogic of day: TRY can not be used in combination with a volatile function, "
        "in `error('odd: ' || tag)::date`"
    )
    assert form.startswith("transformLogic of day: Invalid Input Error: Failed to parse format specifier %d.%Q")
    assert "in `strptime(tag, '%d.%Q')`" in form
    assert "DESCRIBE" not in form
    assert function.startswith("transformLogic of day: no function to_date_x, in `to_date_x(tag)`\n")
    assert "fix:   did you mean to_hex? correct the file or `transformLogic`" in function
    assert not (lake.data / "quarantine").exists()


def test_a_key_that_is_none_stops_a_first_load_unless_the_contract_says_which_row_wins(lake: Lake) -> None:
    contract = Wrong(("name: town, logicalType: string",), (), "", "", ()).contract("visits")
    lake.write("silver/shop/visits.yaml", contract)
    lake.land("shop/visits/1.csv", "id,town\n" + "".join(f"7,town {number}\n" for number in range(30)))
    error = str(lake.run().failures["silver.shop.visits"])
    assert error.splitlines()[:2] == [
        "id is no key: 29 of 30 rows differ from another row of theirs",
        "  in conflict: 1 key has rows of one file that differ, such as 7; the last row wins",
    ]
    assert "add the columns that make a row unique, `primaryKey: true`, or declare none" in error
    last = "\n    customProperties: [{property: onConflict, value: last}]\n"
    lake.write("silver/shop/visits.yaml", contract.rstrip() + last)
    lake.good()
    assert lake.rows("SELECT id, town FROM silver.shop.visits") == [(7, "town 29")]


@pytest.mark.parametrize("rows", [19, 40])
def test_a_key_of_which_few_rows_are_in_conflict_is_one(lake: Lake, rows: int) -> None:
    lake.write(
        "silver/shop/visits.yaml", Wrong(("name: town, logicalType: string",), (), "", "", ()).contract("visits")
    )
    same = rows if rows < 20 else 20
    lines = [f"{number if number >= same else 7},town {number}\n" for number in range(rows)]
    lake.land("shop/visits/1.csv", "id,town\n" + "".join(lines))
    lake.good()


def test_values_that_are_not_unique_are_named(lake: Lake) -> None:
    lake.write(
        "silver/shop/users.yaml",
        Wrong(("name: mail, logicalType: string, unique: true",), (), "", "", ()).contract("users"),
    )
    lake.land("shop/users/1.csv", "id,mail\n1,a@b\n2,a@b\n3,c@d\n4,a@b\n")
    error = str(lake.run().failures["silver.shop.users"])
    assert error.splitlines()[0] == (
        'audit failed: unique of mail is 2, mustBe 0, such as [{"mail": "a@b", "rows": 3}]'
    )


OTHERS = {  # the beginning of a file that its contract calls CSV: what it is, and what to do
    "parquet": (b"PAR1\x15\x04\x15\x10PAR1", "a Parquet file", "write `format: parquet` in "),
    "workbook": (b"PK\x03\x04\x14\x00\x06\x00xl/workbook.xml", "an Excel workbook (.xlsx)", "write `format: xlsx` in "),
    "archive": (b"PK\x03\x04\x14\x00\x06\x00a.csv", "a zip archive", "end its name in .zip; nothing"),
    "packed": (b"\x1f\x8b\x08\x00abc", "packed by gzip", "end its name in .gz; nothing"),
    "page": (b"\xef\xbb\xbf<!DOCTYPE html>\n<html>", "an HTML page", "land the file itself: a page often stands for a"),
    "objects": (b'[\n {"id": 1}]', "JSON", "write `format: json`, or `format: ndjson` for one object a line, in "),
    "lines": (b'{"id": 1}\n{"id": 2}\n', "JSON", "write `format: json`, or `format: ndjson`"),
}


def test_a_file_of_another_format_is_refused_by_the_name_of_that_format(lake: Lake) -> None:
    for name, (content, _, _) in OTHERS.items():
        lake.write(f"silver/shop/{name}.yaml", Wrong((), (), "", "", ()).contract(name))
        lake.land(f"shop/{name}/1.csv", content)
    failures = {name.removeprefix("bronze.shop."): str(error) for name, error in lake.run().failures.items()}
    assert set(failures) == set(OTHERS)
    for name, (_, kind, fix) in OTHERS.items():
        assert failures[name].startswith(f"the file is {kind}, the contract says csv\n"), failures[name]
        assert f"\n  fix:   {fix}" in failures[name], failures[name]


def test_a_file_in_another_encoding_is_refused_with_it_and_taken_once_the_contract_names_it(lake: Lake) -> None:
    contract = Wrong(("name: town, logicalType: string",), (), "", "", ()).contract("towns")
    lake.write("silver/shop/towns.yaml", contract)
    lake.land("shop/towns/1.csv", "id,town\n1,Bonn\n2,Köln\n3,Düren\n".encode("cp1252"))
    lines = str(lake.run().failures["bronze.shop.towns"]).splitlines()
    assert lines[0] == 'not utf-8: none of the 2 lines with more than ASCII is; read as cp1252 the first is "2,Köln"'
    assert lines[2].startswith("  fix:   if that is right, write `encoding: cp1252` in ")
    lake.write("silver/shop/towns.yaml", contract.replace("format: csv", "format: csv, encoding: cp1252"))
    lake.good()
    assert lake.rows("SELECT town FROM silver.shop.towns ORDER BY id") == [("Bonn",), ("Köln",), ("Düren",)]


def test_lines_that_are_no_text_among_others_that_are_cost_no_other(lake: Lake) -> None:
    lake.write("silver/shop/towns.yaml", Wrong(("name: town, logicalType: string",), (), "", "", ()).contract("towns"))
    bad = "2,Köln\n3,Düren\n".encode("cp1252")
    lake.land("shop/towns/1.csv", b"id,town\n" + bad + "1,Jülich\n4,Ahlen\n".encode())
    lake.good()
    assert lake.rows("SELECT town FROM silver.shop.towns ORDER BY id") == [("Jülich",), ("Ahlen",)]


HEADERS = {  # a CSV file's bytes, and what is said of its header
    "titles": (
        b"Report;;\nMade on Friday;;\n\nid;town;size\n1;Bonn;2\n",
        'none of the columns that are read (id, size, town) in the header, which is ["Report;;"]; '
        'line 4, split at ";", looks like the header: ["id", "town", "size"]',
        'write `delimiter: ";"` and `header: 4`, or `header: auto`, in ',
    ),
    "titled": (
        b"Report\n\nid,town,size\n1,Bonn,2\n",
        'none of the columns that are read (id, size, town) in the header, which is ["Report"]; '
        'line 3 looks like the header: ["id", "town", "size"]',
        "write `header: 3`, or `header: auto`, in ",
    ),
    "split": (
        b"id;town;size, net\n1;Bonn;2\n",
        'none of the columns that are read (id, size, town) in the header, which is ["id;town;size", "net"]; '
        'line 1, split at ";", looks like the header: ["id", "town", "size, net"]',
        'write `delimiter: ";"` in ',
    ),
    "one_column": (
        b"id;town;size\n1;Bonn;2\n",
        'the header has 1 column "id;town;size", the delimiter is ","',
        'set delimiter ";" in ',
    ),
    "foreign": (
        b"nr,Town Name,weight\n1,Bonn,2\n",
        'none of the columns that are read (id, size, town); the file has ["nr", "Town Name", "weight"] '
        '(is it "Town Name" for town?)',
        "correct the file, or the names in ",
    ),
    "umlaut": (
        "id,town,größe\n1,Bonn,2\n".encode("cp1252"),
        'the header is not utf-8; read as cp1252 it is "id,town,größe"',
        "if that is right, write `encoding: cp1252` in ",
    ),
}


def test_utf_8_of_characters_that_cannot_be_seen_is_utf_8(lake: Lake) -> None:
    lake.write("silver/shop/towns.yaml", Wrong(("name: town, logicalType: string",), (), "", "", ()).contract("towns"))
    lake.land("shop/towns/1.csv", 'id,town\n1,"\x80"\n2,"\x80"\n3\n')  # the short line has it read exactly
    lake.good()
    assert lake.rows("SELECT town FROM bronze.shop.towns WHERE id <> '3'") == [("\x80",), ("\x80",)]


def test_a_header_that_is_not_where_or_what_the_contract_says_is_found(lake: Lake) -> None:
    columns = ("name: town, logicalType: string", "name: size, logicalType: integer")
    for name, (content, _, _) in HEADERS.items():
        lake.write(f"silver/shop/{name}.yaml", Wrong(columns, (), "", "", ()).contract(name))
        lake.land(f"shop/{name}/1.csv", content)
    failures = {
        name.removeprefix("bronze.shop."): str(error).splitlines() for name, error in lake.run().failures.items()
    }
    assert set(failures) == set(HEADERS)
    for name, (_, what, fix) in HEADERS.items():
        assert failures[name][0] == what, name
        assert failures[name][2].startswith(f"  fix:   {fix}"), failures[name]
