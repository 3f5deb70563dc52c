"""Files of fixed width and XML: what a record is, and that nothing of it is lost."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Lake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_readers import CSV, land, refusal, rejects, values

from src.bronze import readers
from src.engine import DuckEngine

FIXED = replace(CSV, format="fixed", header=False, fixed_width=(("id", 1, 4), ("name", 5, 10), ("amount", 12, 16)))
XML = replace(CSV, format="xml", record_path=("shop", "orders", "order"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


# -- fixed width


def test_a_column_is_what_stands_at_its_characters_without_the_blanks_around_it(
    engine: DuckEngine, tmp_path: Path
) -> None:
    feed = replace(FIXED, fixed_width=(("id", 1, 4), ("name", 5, 10), ("amount", 11, 18)))
    path = land(tmp_path, "0007Müller  12.50\r\n   8 A b    1,00\n\n0009      x    \n0010\n12\n")
    assert values(engine, feed, path) == [
        ("0007", "Müller", "12.50"),
        ("8", "A b", "1,00"),
        ("0009", "", "x"),
        ("0010", None, None),  # the line does not reach them
        ("12", None, None),
    ]
    cp850 = replace(FIXED, encoding="cp850")
    assert values(engine, cp850, land(tmp_path, "0001Müller 12\n".encode("cp850"))) == [("0001", "Müller", "12")]
    path = land(tmp_path, gzip.compress(b"0001a      1\n"), "1.txt.gz")
    assert values(engine, FIXED, path) == [("0001", "a", "1")]
    assert values(engine, FIXED, land(tmp_path, "")) == []


def test_text_in_no_column_and_bytes_that_are_no_text_make_the_line_a_reject(
    engine: DuckEngine, tmp_path: Path
) -> None:
    path = land(tmp_path, b"0001abcdefX1\n0002abcdef 12345more\n0003\xff\n0004abcdef 12345  \n")
    assert rejects(engine, FIXED, path) == [
        (None, None, None, 1, "character 11 stands in no column of fixedWidth", "0001abcdefX1"),
        (None, None, None, 2, "character 17 stands in no column of fixedWidth", "0002abcdef 12345more"),
        (None, None, None, 3, "not valid utf-8 (byte 0xff at character 5)", "0003\\xff"),
        ("0004", "abcdef", "12345", 4, None, None),
    ]


def test_header_lines_and_totals_of_a_fixed_file_are_no_rows_and_noted(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, "Export of May\nid  name   amount\n0001a      1\nTotal 1\n")
    feed = replace(FIXED, header=2, skip_footer=1)
    assert values(engine, feed, path) == [("0001", "a", "1")]
    assert readers.read(engine, feed, path).left_out == {
        "2 lines as a header left out": "Export of May | id  name   amount",
        "1 lines at the end left out": "Total 1",
    }
    assert values(engine, replace(FIXED, header=True), land(tmp_path, "id  name\n0001a\n")) == [("0001", "a", None)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(st.text("aé 1\t", max_size=24), max_size=8))
def test_no_character_of_a_fixed_file_is_lost(engine: DuckEngine, tmp_path: Path, lines: list[str]) -> None:
    path = land(tmp_path, "".join(f"{line}\n" for line in lines))
    rows = readers.read(engine, FIXED, path)
    kept = [filter(None, row) for row in engine.rows(f"SELECT id, name, amount, _raw FROM ({rows.sql}) ORDER BY _row")]
    engine.unstream(rows.streams[0])
    assert ["".join("".join(row).split()) for row in kept] == ["".join(line.split()) for line in lines if line.strip()]


# -- XML


SHOP = """<?xml version="1.0" encoding="utf-8"?>
<!-- of today --><shop xmlns="urn:shop" xmlns:x="http://www.w3.org/2001/XMLSchema-instance"><made>today</made>
<orders>
  <order id="007"><amount> 1.10 </amount><note><![CDATA[a < b & c]]></note><empty/></order>
  <order id="8" state="x"><amount x:nil="true"/><line no="1">pen</line><line no="2"><price>2.00</price></line></order>
  <order><customer><name>Zoë</name><tag>a</tag><tag>b</tag></customer>some text</order>
</orders><more><order id="none"/></more></shop>
"""


def test_a_record_is_an_element_and_its_columns_are_its_attributes_and_the_elements_in_it(
    engine: DuckEngine, tmp_path: Path
) -> None:
    path = land(tmp_path, SHOP)
    assert readers.read(engine, XML, path).columns == (
        *("@id", "amount", "note", "empty", "@state", "line", "customer", "#text"),
    )
    lines = '[{"@no":"1","#text":"pen"},{"@no":"2","price":"2.00"}]'
    assert values(engine, XML, path) == [
        ("007", " 1.10 ", "a < b & c", "", None, None, None, None),
        ("8", None, None, None, "x", lines, None, None),
        (None, None, None, None, None, None, '{"name":"Zoë","tag":["a","b"]}', "some text"),
    ]
    wide = SHOP.replace("utf-8", "utf-16").encode("utf-16")
    for name, content in (("1.xml.gz", gzip.compress(SHOP.encode())), ("2.xml", wide)):
        assert len(values(engine, XML, land(tmp_path, content, name))) == 3
    latin = SHOP.replace("utf-8", "iso-8859-15").encode("iso-8859-15")
    assert "Zoë" in str(values(engine, XML, land(tmp_path, latin))[2])


@pytest.mark.parametrize(
    "content", ["", "<shop/>", "<shop><orders/></shop>", "<shop><orders> <!-- - --></orders></shop>"]
)
def test_xml_without_records_gives_no_rows(engine: DuckEngine, tmp_path: Path, content: str) -> None:
    assert values(engine, XML, land(tmp_path, content)) == []


BOMB = '<!DOCTYPE shop [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]><shop><orders><order>&b;</order></orders></shop>'
OUTSIDE = '<!DOCTYPE shop [<!ENTITY a SYSTEM "file:///etc/hostname">]><shop><orders><order>&a;</order></orders></shop>'
UNKNOWN = '<!DOCTYPE shop SYSTEM "x.dtd"><shop><orders><order>&a;</order></orders></shop>'


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("<shop><orders><order>", "malformed XML after 0 records: no element found"),
        ("<shop><orders><order/><order></orders></shop>", "malformed XML after 1 records: mismatched tag"),
        ("<shop><orders><order/></orders></shop>more", "malformed XML after 1 records: junk after"),
        ('<?xml version="1.0" encoding="klingon"?><shop/>', "malformed XML after 0 records: unknown encoding"),
        ("<shop><bills><bill/></bills><x/></shop>", "no element orders in shop; there is bills, x"),
        ("<list><order/></list>", "no element shop at the top; there is list"),
        (BOMB, "the entity a is declared"),
        (OUTSIDE, "the entity a is declared"),
        (UNKNOWN, "the entity a is declared, or meant"),
        ("<shop><orders><order>" + "<a>" * 300 + "</a>" * 300 + "</order></orders></shop>", "elements in each other"),
    ],
    ids=lambda value: value[:40],
)
def test_xml_that_cannot_be_read_to_its_end_is_refused(
    engine: DuckEngine, tmp_path: Path, content: str, what: str
) -> None:
    assert refusal(engine, XML, land(tmp_path, content)).startswith(what)


def test_names_that_differ_only_by_case_make_a_record_of_xml_a_reject(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, "<shop><orders><order><a>1</a></order><order><a>1</a><A>2</A></order></orders></shop>")
    assert rejects(engine, XML, path) == [
        ("1", 1, None, None),
        (None, 2, 'keys "a", "A" differ only by case', '{"a":"1","A":"2"}'),
    ]


def test_records_of_xml_are_numbered_over_all_blocks_that_are_parsed(engine: DuckEngine, tmp_path: Path) -> None:
    orders = "".join(f'<order id="{number}"><amount>1.10</amount></order>\n' for number in range(1, 5_001))
    path = land(tmp_path, f"<shop><orders>{orders}</orders></shop>")
    assert values(engine, XML, path) == [(str(number), "1.10") for number in range(1, 5_001)]


FEED = """
apiVersion: v3.1.0
kind: DataContract
id: silver.shop.list
version: 1.0.0
status: active
servers:
  - {server: list, type: local, path: "shop/list/*", format: %s, customProperties: [{property: %s, value: %s}]}
schema:
  - name: list
    properties:
      - {name: id, logicalType: integer, primaryKey: true, transformLogic: %s}
      - {name: name, logicalType: string}
"""


@pytest.mark.parametrize(
    ("form", "name", "option", "expression", "content"),
    [
        ("fixed", "fixedWidth", "{id: [1, 3], name: [4, 8]}", "id", "  1abc\n  2\n"),
        ("xml", "recordPath", "list/row", "'\"@id\"'", '<list><row id="1"><name>abc</name></row><row id="2"/></list>'),
    ],
)
def test_a_contract_takes_files_of_these_formats(
    lake: Lake, form: str, name: str, option: str, expression: str, content: str
) -> None:
    lake.write("silver/shop/list.yaml", FEED % (form, name, option, expression))
    lake.land("shop/list/1.txt", content)
    lake.good()
    assert lake.rows("SELECT id, name FROM silver.shop.list ORDER BY id") == [(1, "abc"), (2, None)]
