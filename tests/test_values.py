"""A value in the file is the value in silver, or the row is in quarantine: never another value."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from conftest import Lake, short
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from src.contract import TIMESTAMP, Column, Table
from src.engine import DuckEngine, literal
from src.silver.project import projection

ONE_COLUMN = """
apiVersion: v3.1.0
kind: DataContract
id: shop.things
name: Things
version: 1.0.0
status: active
domain: shop
customProperties: [{{property: maxRejected, value: 100 %}}]
servers:
  - {{server: things, type: local, path: "*.csv", format: csv, delimiter: "|"}}
schema:
  - name: things
    logicalType: object
    properties:
      - {{name: nr, logicalType: integer, primaryKey: true}}
      - {{name: value, logicalType: {logical}, physicalType: "{physical}"}}
"""
LOST = "a digit would be lost"
THOUSANDS = "it may be thousands, which the contract says with `thousands`"
NO = "cannot read"

# what each type takes, and what it refuses, as it is written
INTEGERS = {
    "12": 12,
    " 12\t": 12,
    "+5": 5,
    "-0": 0,
    "007": 7,
    "5.": 5,
    "17850.0": 17850,
    "3.00": 3,
    "3.0000": 3,
    "1.000": THOUSANDS,
    "-12.000": THOUSANDS,
    "1234.000": THOUSANDS,
    "1.000.000": NO,
    "1,000": NO,
    "1_000": NO,
    "1'000": NO,
    "1 000": NO,
    "1.9": NO,
    ".5": NO,
    "1e3": NO,
    "1e-1": NO,
    "0x10": NO,
    "0b1": NO,
    "\uff11\uff12": NO,
    "\u0663": NO,
    "- 5": NO,
    "true": NO,
    "9223372036854775807": 9223372036854775807,
    "9223372036854775807.0": 9223372036854775807,
    "-9223372036854775808": -9223372036854775808,
    "9223372036854775808": NO,
}
DECIMALS = {  # decimal(9,2)
    "2.50": Decimal("2.50"),
    "2.5000000000000000000000000000000000000000000": Decimal("2.50"),
    "12.000": Decimal("12.00"),
    "+5": Decimal("5.00"),
    ".5": Decimal("0.50"),
    "5.": Decimal("5.00"),
    "-0": Decimal("0.00"),
    "1e3": Decimal("1000.00"),
    "15e-1": Decimal("1.50"),
    "1.5E+1": Decimal("15.00"),
    "0e-400": Decimal("0.00"),
    "2.505": LOST,
    "1.00000000000000000000000000001": LOST,
    "0.004": LOST,
    "1e-400": LOST,
    "1.005e0": LOST,
    "1e7": NO,
    "1234567.89": Decimal("1234567.89"),
    "12345678.9": NO,
    "1,234.50": NO,
    "1_000.5": NO,
    "1e": NO,
    "NaN": NO,
    "0x10": NO,
    "\uff11\uff12": NO,
    ".": NO,
}
WIDE_DECIMALS = {  # decimal(38,2)
    "7.10": Decimal("7.10"),
    "123456789012345678901234567890123456.78": Decimal("123456789012345678901234567890123456.78"),
    "1.005": LOST,
    "0.004": LOST,
    "123456789012345678901234567890123456.785": LOST,
    "1234567890123456789012345678901234567.8": NO,
}
DOUBLES = {
    "0.1": 0.1,
    "0.10000000000000001": 0.1,  # the same number, as other programs write it
    "1e3": 1000.0,
    "1E+05": 100000.0,
    ".5": 0.5,
    "5.": 5.0,
    "+5": 5.0,
    "0": 0.0,
    "0.000000000000000000000": 0.0,
    "0e-400": 0.0,
    "1e23": 1e23,
    "5.960464477539063E-8": 2**-24,  # the shortest text; with 16 digits others print ...2
    "1.7976931348623157e308": 1.7976931348623157e308,
    "5e-324": 5e-324,
    "9007199254740992": 9007199254740992.0,
    "9007199254740993": LOST,
    "12345678901234567890": LOST,
    "0.12345678901234567890": LOST,
    "1e-400": LOST,
    "3e-324": LOST,
    "1.23456789e-320": LOST,
    "1e400": NO,
    "inf": NO,
    "NaN": NO,
    "1_0": NO,
    "0x10": NO,
    "1d3": NO,
    "1,5": NO,
}
FLOATS = {
    "0.5": 0.5,
    "123456": 123456.0,
    "16777216": 16777216.0,
    "16777217": LOST,
    "123456.789": 123456.7890625,
    "123456.788": LOST,
    "1e-50": LOST,
    "1e39": NO,
}
BOOLEANS = {
    "true": True,
    "TRUE": True,
    "True": True,
    "t": True,
    "yes": True,
    "y": True,
    "1": True,
    "false": False,
    "f": False,
    "no": False,
    "N": False,
    "0": False,
    "2": NO,
    "1.0": NO,
    "on": NO,
    "maybe": NO,
}
DATES = {
    "2011-02-28": date(2011, 2, 28),
    "2011/2/3": date(2011, 2, 3),
    "2011-02-28 00:00:00": date(2011, 2, 28),
    "2011-02-28T00:00:00.000Z": date(2011, 2, 28),
    "0001-01-01": date(1, 1, 1),
    "9999-12-31": date(9999, 12, 31),
    "2012-02-29": date(2012, 2, 29),
    "2011-02-29": NO,
    "2011-02-28 10:00:00": NO,
    "2011-02-28 00:00:00+02": NO,
    "4/5/31": NO,
    "07/08/09": NO,
    "14-05-31": NO,
    "31.12.2011": NO,
    "12/31/2011": NO,
    "20110228": NO,
    "0000-01-01": NO,
    "-044-01-01": NO,
    "0044-01-01 (BC)": NO,
    "10000-01-01": NO,
    "999999-12-31": NO,
    "epoch": NO,
    "infinity": NO,
    "-infinity": NO,
    "today": NO,
    "now": NO,
}
TIMESTAMPS = {
    "2011-02-28": datetime(2011, 2, 28, tzinfo=UTC),
    "2011-02-28 10:00": datetime(2011, 2, 28, 10, tzinfo=UTC),
    "2011-02-28 10:00:05": datetime(2011, 2, 28, 10, 0, 5, tzinfo=UTC),
    "2011-02-28T10:00:05Z": datetime(2011, 2, 28, 10, 0, 5, tzinfo=UTC),
    "2011-02-28T10:00:05+02:00": datetime(2011, 2, 28, 8, 0, 5, tzinfo=UTC),
    "2011-02-28 10:00:05 UTC": datetime(2011, 2, 28, 10, 0, 5, tzinfo=UTC),
    "2011/02/28 9:05": datetime(2011, 2, 28, 9, 5, tzinfo=UTC),
    "2011-02-28 10:00:05.123456": datetime(2011, 2, 28, 10, 0, 5, 123456, tzinfo=UTC),
    "2011-02-28 10:00:05.123456000Z": datetime(2011, 2, 28, 10, 0, 5, 123456, tzinfo=UTC),
    "2011-02-28 10:00:05.1234567": LOST,
    "2031-05-01T10:00:00.000000100Z": LOST,
    "2011-02-28 24:00:00": NO,
    "2011-02-28 24:00": NO,
    "2011-02-28 23:59:60": NO,
    "2011-02-28 10:00:05 CST": NO,
    "2011-02-28 10:00:05 Europe/Berlin": NO,
    "2011-02-30 10:00": NO,
    "4/5/31 10:00": NO,
    "14-05-31 10:00:00": NO,
    "28.02.2011 10:00": NO,
    "0000-01-01 00:00:00": NO,
    "9999-12-31 23:59:59-10": NO,
    "10000-01-01 00:00:00": NO,
    "infinity": NO,
    "epoch": NO,
    "now": NO,
}
TEXTS = {"Grüße, 東京": "Grüße, 東京", "1.000": "1.000", "   ": None}
READINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("integer", "bigint", INTEGERS),
    ("integer", "tinyint", {"127": 127, "128": NO, "300": NO, "-128": -128}),
    ("number", "decimal(9,2)", DECIMALS),
    ("number", "decimal(38,2)", WIDE_DECIMALS),
    ("number", "double", DOUBLES),
    ("number", "float", FLOATS),
    ("boolean", "boolean", BOOLEANS),
    ("date", "date", DATES),
    ("timestamp", "timestamp", TIMESTAMPS),
    ("string", "varchar", TEXTS),
]


@pytest.mark.parametrize(("logical", "physical", "readings"), READINGS, ids=[physical for _, physical, _ in READINGS])
def test_a_text_is_read_as_the_value_it_surely_is_or_refused(
    lake: Lake, logical: str, physical: str, readings: dict[str, Any]
) -> None:
    lake.write("silver/shop/things.yaml", ONE_COLUMN.format(logical=logical, physical=physical))
    texts = list(readings)
    lake.land("1.csv", "nr|value\n" + "".join(f"{nr}|{text}\n" for nr, text in enumerate(texts)))
    lake.good()
    found: dict[str, Any] = {texts[nr]: value for nr, value in lake.rows("SELECT nr, value FROM silver.shop.things")}
    refused = lake.rows("SELECT _row - 1, _reasons FROM quarantine.shop.things")
    for nr, (reason,) in refused:
        text = texts[nr]
        ending = next((known for known in (LOST, THOUSANDS) if reason.endswith(known)), NO)
        start = f"value: {text} as {physical}" if ending == LOST else f"value: cannot read {text} as {physical}"
        assert reason == (f"{start}: {ending}" if ending != NO else start)
        found[text] = ending
    assert found == readings


def test_a_time_finer_than_a_microsecond_is_cut_only_where_the_contract_says_so(lake: Lake) -> None:
    text = ONE_COLUMN.format(logical="timestamp", physical="timestamp(6)")
    lake.write("silver/shop/things.yaml", text)
    lake.land("1.csv", "nr|value\n1|2031-05-01T10:00:00.000000800Z\n")
    lake.good()
    assert lake.rows("SELECT _reasons FROM quarantine.shop.things") == [
        (["value: 2031-05-01T10:00:00.000000800Z as timestamp: a digit would be lost"],)
    ]
    text = text.replace('"timestamp(6)"}', '"timestamp(6)", transformLogic: "left(value, 26)"}')
    lake.write("silver/shop/things.yaml", text.replace("version: 1.0.0", "version: 1.1.0"))
    lake.good()
    assert lake.rows("SELECT value FROM silver.shop.things") == [(datetime(2031, 5, 1, 10, tzinfo=UTC),)]


NOTATIONS = [  # what the feed says, the column's type, texts with their values
    (
        '{property: thousands, value: "."}',  # a point between thousands leaves the comma for the fraction
        "decimal(9,2)",
        {
            "1.000": Decimal("1000.00"),
            "-1.234.567,89": Decimal("-1234567.89"),
            "12": Decimal("12.00"),
            "1234,5": Decimal("1234.50"),
            "1,234": LOST,
            "2.50": NO,
            "1.00.000": NO,
            "1234.567": NO,
            "1,234.50": NO,
            "1.000.": NO,
        },
    ),
    ('{property: thousands, value: "."}', "bigint", {"1.000": 1000, "1.003": 1003, "3": 3, "1.5": NO, "1,5": NO}),
    (
        '{property: decimal, value: ","}',
        "double",
        {"0,5": 0.5, "1,5e3": 1500.0, "7": 7.0, "1.5": NO, "1.000": NO, "1.000,5": NO},
    ),
    ('{property: thousands, value: ","}', "bigint", {"1,000": 1000, "12,34": NO, "1000": 1000, "1,000,000": 1000000}),
    (
        "{property: thousands, value: ' '}, {property: decimal, value: ','}",
        "decimal(9,2)",
        {"1 234,50": Decimal("1234.50"), "1\u202f234": Decimal("1234.00"), "12 34": NO},
    ),
]


@pytest.mark.parametrize(("words", "physical", "readings"), NOTATIONS)
def test_numbers_are_read_as_their_feed_writes_them(
    lake: Lake, words: str, physical: str, readings: dict[str, Any]
) -> None:
    logical = "integer" if physical == "bigint" else "number"
    text = ONE_COLUMN.format(logical=logical, physical=physical)
    lake.write(
        "silver/shop/things.yaml", text.replace('delimiter: "|"', f'delimiter: "|", customProperties: [{words}]')
    )
    texts = list(readings)
    lake.land("1.csv", "nr|value\n" + "".join(f"{nr}|{text}\n" for nr, text in enumerate(texts)))
    lake.good()
    found: dict[str, Any] = {texts[nr]: value for nr, value in lake.rows("SELECT nr, value FROM silver.shop.things")}
    for nr, (reason,) in lake.rows("SELECT _row - 1, _reasons FROM quarantine.shop.things"):
        assert reason.startswith((f"value: cannot read {texts[nr]} as", f"value: {texts[nr]} as"))
        found[texts[nr]] = LOST if reason.endswith(LOST) else NO
    assert found == readings


PARTITIONS = {  # the text of a partition, and whether it can be one
    "north": True,
    "Grüße/東京 ..": True,
    ".": True,
    "..": True,
    "NULL": True,
    "a" * 249: True,
    "a" * 250: False,
    "ü" * 41: True,
    "ü" * 42: False,
    "__HIVE_DEFAULT_PARTITION__": False,
    "nothing": False,  # of which the contract makes empty text
    "zero": False,  # of which it makes a NUL
}


def test_a_row_whose_text_can_name_no_partition_is_quarantined_and_the_others_are_taken(lake: Lake) -> None:
    made = "case value when 'nothing' then '' when 'zero' then chr(0) else value end"
    text = ONE_COLUMN.format(logical="string", physical="varchar")
    text = text.replace('"varchar"}', f'"varchar", required: true, partitioned: true, transformLogic: "{made}"}}')
    lake.write("silver/shop/things.yaml", text)
    texts = list(PARTITIONS)
    lake.land("1.csv", "nr|value\n" + "".join(f"{nr}|{text}\n" for nr, text in enumerate(texts)))
    lake.good()
    taken = lake.rows("SELECT nr, value FROM silver.shop.things ORDER BY nr")
    assert taken == [(nr, text) for nr, text in enumerate(texts) if PARTITIONS[text]]
    refused = lake.rows("SELECT _row - 1, _reasons FROM quarantine.shop.things")
    assert {texts[nr] for nr, _ in refused} == {text for text, good in PARTITIONS.items() if not good}
    assert all(reason.endswith(" cannot name a partition") for _, (reason,) in refused)


COMPUTED = [  # what an expression gives, the column's type, what is kept of it
    ("9007199254740993::BIGINT", "number", "double", LOST),
    ("9007199254740992::BIGINT", "number", "double", 9007199254740992.0),
    ("0.1::DOUBLE + 0.2::DOUBLE", "number", "decimal(9,2)", LOST),
    ("0.3::DOUBLE", "number", "decimal(9,2)", Decimal("0.30")),
    ("1.000::DECIMAL(9,3)", "integer", "bigint", 1),
    ("1.5::DOUBLE", "integer", "bigint", LOST),
    ("TIMESTAMP '2031-05-01 10:00:00'", "date", "date", LOST),
    ("TIMESTAMP '2031-05-01'", "date", "date", date(2031, 5, 1)),
    ("TIMESTAMP_NS '2031-05-01 10:00:00.000000001'", "timestamp", "timestamp", LOST),
    ("TIMESTAMP_NS '2031-05-01 10:00:00.000001'", "timestamp", "timestamp", datetime(2031, 5, 1, 10, 0, 0, 1, UTC)),
    ("TIMESTAMP '2031-05-01 10:00:00'", "timestamp", "timestamp", datetime(2031, 5, 1, 10, tzinfo=UTC)),
    ("TIMESTAMP 'infinity'", "timestamp", "timestamp", NO),
    ("DATE '999999-12-31'", "date", "date", NO),
    ("DATE 'infinity'", "date", "date", NO),
    ("DATE '0044-03-15 (BC)'", "date", "date", NO),
    ("""json_extract('{"n": "12.50"}', '$.n')""", "number", "decimal(9,2)", Decimal("12.50")),
    ("""json_extract('{"n": 12.505}', '$.n')""", "number", "decimal(9,2)", LOST),
    ("""json_extract('{"n": 12}', '$.n')""", "integer", "bigint", 12),
]


@pytest.mark.parametrize(("expression", "logical", "physical", "expected"), COMPUTED)
def test_what_an_expression_gives_becomes_the_column_without_loss_or_is_refused(
    lake: Lake, expression: str, logical: str, physical: str, expected: Any
) -> None:
    text = ONE_COLUMN.format(logical=logical, physical=physical)
    escaped = expression.replace("'", "''")
    lake.write(
        "silver/shop/things.yaml", text.replace(f'"{physical}"}}', f"\"{physical}\", transformLogic: '{escaped}'}}")
    )
    lake.land("1.csv", "nr|value\n1|x\n")
    lake.good()
    if expected not in (LOST, NO):
        assert lake.rows("SELECT value FROM silver.shop.things") == [(expected,)]
        return
    assert lake.rows("SELECT value FROM silver.shop.things") == []
    [([reason],)] = lake.rows("SELECT _reasons FROM quarantine.shop.things")
    assert reason.endswith(LOST) == (expected == LOST), reason


# -- any text, judged by Python alone

_PLAIN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_DAY = r"([0-9]{4})([-/ \\])([0-9]{1,2})\2([0-9]{1,2})"
_CLOCK = r"([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]*))?)?( ?(?:Z|UTC|GMT)|[+-][0-9]{2}(?::?[0-9]{2}){0,2})?"
FIRST = ("BIGINT", "DECIMAL(38,2)", "DOUBLE", "DATE", TIMESTAMP, "VARCHAR")
NUMBERS = ("BIGINT", "TINYINT", "DECIMAL(9,2)", "DECIMAL(38,2)", "DECIMAL(38,37)", "DOUBLE", "FLOAT")


def is_meant(text: str, kind: str, stored: Any) -> bool:
    """Whether a stored value is what the text says, digit by digit."""
    if kind == "VARCHAR":
        return bool(stored == text)
    if kind == "BOOLEAN":
        meant = ("1", "t", "y", "yes", "true") if stored else ("0", "f", "n", "no", "false")
        return text.lower() in meant
    if kind == "DATE":
        day = re.fullmatch(_DAY + r"(?:[ T].*)?", text)
        return day is not None and stored == date(int(day[1]), int(day[3]), int(day[4]))
    if kind == TIMESTAMP:
        return bool(moment(text) == stored)
    if not re.fullmatch(_PLAIN, text):
        return False
    if kind in ("DOUBLE", "FLOAT"):
        return is_printed(Decimal(text), stored, kind)
    with localcontext(prec=2000, Emax=10**9, Emin=-(10**9)):
        return bool(Decimal(text) == stored)


def is_printed(written: Decimal, stored: float, kind: str) -> bool:
    """Whether a number is the nearest to what is written, and gives it back when printed with as many digits."""
    if kind == "DOUBLE" and float(written) != stored:
        return False
    if kind == "FLOAT" and struct.unpack("f", struct.pack("f", stored))[0] != stored:
        return False
    digits = "".join(map(str, written.as_tuple().digits)).strip("0")
    shortest = repr(stored) if kind == "DOUBLE" else f"{stored:.9g}"
    return written in (Decimal(shortest), Decimal(f"{stored:.{max(len(digits), 1) - 1}e}"))


def moment(text: str) -> datetime | None:
    found = re.fullmatch(f"{_DAY}(?:[ T]{_CLOCK})?", text)
    if not found:
        return None
    year, _, month, day, hour, minute, second, fraction, zone = found.groups(default="")
    try:
        read = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
        offset = [int(part) for part in re.findall("[0-9]{2}", zone)]
        behind = timedelta(**dict(zip(("hours", "minutes", "seconds"), offset, strict=False)))
        micros = int((fraction + "000000")[:6])
        if fraction[6:].strip("0"):
            return None
        return read + timedelta(microseconds=micros) - (-behind if "-" in zone else behind)
    except (ValueError, OverflowError):
        return None


_DIGITS = st.text("0123456789", max_size=25)
_NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "-", "+"]),
    st.one_of(_DIGITS, st.just("0"), st.just("000")),
    st.one_of(
        st.just(""), st.builds(".{}".format, _DIGITS), st.builds(".{}".format, st.sampled_from(["0", "000", "5"]))
    ),
    st.one_of(
        st.just(""), st.builds("e{}".format, st.integers(-420, 420)), st.builds("E{}".format, st.integers(-9, 9))
    ),
)
_DAYS = st.one_of(
    st.dates(),
    st.builds(
        "{}{s}{}{s}{}".format,
        st.one_of(st.integers(0, 99), st.integers(0, 12000), st.from_regex("[0-9]{4}", fullmatch=True)),
        st.integers(0, 13),
        st.integers(0, 32),
        s=st.sampled_from("-/. "),
    ),
).map(str)
_MOMENTS = st.builds(
    "{}{}{}{}{}".format,
    _DAYS,
    st.sampled_from([" ", "T", "  "]),
    st.builds("{:02}:{:02}".format, st.integers(0, 24), st.integers(0, 60)),
    st.one_of(st.just(""), st.from_regex(r":[0-6][0-9](\.[0-9]{0,9})?", fullmatch=True)),
    st.sampled_from(["", "", "Z", "+02", "-0330", "+01:00", " UTC", " CST", " Europe/Berlin"]),
)
_WORDS = st.sampled_from(
    ["1_000", "1,000", "0x1F", "inf", "nan", "epoch", "infinity", "today", "(BC)", "t", "yes", "TRUE", "0", "1", "on"]
)
_SIGNS = st.text("0123456789+-.,eE_ '/:TZ\u0663\uff11", min_size=1, max_size=12)
_VALUES = st.one_of(
    _NUMBERS,
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.9g}"),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.integers(-(2**70), 2**70).map(str),
    _DAYS,
    _MOMENTS,
    _WORDS,
    _SIGNS,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    running = DuckEngine(memory_limit="500MB", threads=1, spill=tmp_path_factory.mktemp("spill"))
    yield running
    running.close()


def silver(engine: DuckEngine, kind: str, texts: Sequence[str]) -> list[tuple[str, Any, list[str] | None]]:
    """Each text with the value that silver makes of it, and its reasons."""
    table = Table("silver", "shop", "things", "1.0.0", (Column("nr", "BIGINT"), Column("value", kind)))
    rows = ", ".join(f"('{nr}', {literal(text)})" for nr, text in enumerate(texts))
    made = "'f' AS _file, 1 AS _row, now() AS _ingested_at, 'b' AS _batch, {'v': value} AS \"~source\""
    sql = projection(engine, table, f"SELECT nr, value, {made} FROM (VALUES {rows}) t(nr, value)", "~")
    return [(texts[nr], value, why) for nr, value, why in engine.rows(f"SELECT nr, value, _reasons FROM ({sql})")]


def drawn(examples: int) -> settings:
    """So many lists of texts, the same ones each time; a failure names its text, so that no list is made smaller."""
    return settings(
        max_examples=examples,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize(
    "kind", short([*FIRST, *(kind for kind in (*NUMBERS, "BOOLEAN") if kind not in FIRST)], len(FIRST))
)
@pytest.mark.parametrize("lists", short([15, 60], 1))
def test_no_text_becomes_another_value(engine: DuckEngine, kind: str, lists: int) -> None:
    @drawn(lists)
    @given(st.lists(_VALUES.map(str.strip).filter(bool), min_size=30, max_size=120))
    def prove(texts: list[str]) -> None:
        for text, value, reasons in silver(engine, kind, texts):
            assert (value is None) == bool(reasons), (text, value, reasons)
            assert reasons or is_meant(text, kind, value), (text, kind, value)

    prove()


WRITTEN = {  # values, each as the usual programs write it
    "BIGINT": st.integers(-(2**63), 2**63 - 1).map(str),
    "DECIMAL(38,2)": st.decimals(-(10**36) + 1, 10**36 - 1, places=2).map(lambda value: f"{value:f}"),
    "DECIMAL(38,37)": st.decimals(-9, 9, places=37).map(lambda value: f"{value:f}"),
    "DOUBLE": st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.17g}"),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.25e}"),
    ),
    "FLOAT": st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.9g}"),
    "DATE": st.dates().map(str),
    TIMESTAMP: st.one_of(
        st.datetimes().map(str), st.datetimes().map(datetime.isoformat), st.datetimes().map(lambda at: f"{at}Z")
    ),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_value_of_the_type_is_taken_however_it_is_usually_written(engine: DuckEngine, kind: str) -> None:
    @drawn(30)
    @given(st.lists(WRITTEN[kind], min_size=30, max_size=80))
    def prove(texts: list[str]) -> None:
        for text, value, reasons in silver(engine, kind, texts):
            assert not reasons, (text, reasons)
            assert is_meant(text, kind, value), (text, kind, value)

    prove()
