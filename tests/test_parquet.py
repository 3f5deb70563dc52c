"""Parquet: every value comes into bronze as the exact text of what the file holds, or the file is refused by name."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake
from hypothesis import given, settings
from hypothesis import strategies as st
from test_readers import PARQUET, refusal, values

from src.bronze import ingest, readers
from src.bronze.readers.parquet_pages import schema_bytes
from src.contract import Feed
from src.engine import DuckEngine
from src.errors import DataError, UsageError
from src.lake import DataFile

# A file with a flipped bit, packed, at which the engine stops with an error of its own and gives up its database.
BROKEN = (
    "c-pm8!EVz)5S?AeAwY=ImRZ@74?a-KNKs@;QgN`5sCq!6LQ%xAQniVVh)6@Bi6g!MA@vJdKB8O@pMV4(!3lBT3pg>mc7x-%s25h&"
    "dUxi%H#6(;_8#@`Az%a7TgYiq#VWux%K!idK!!RtbDrvLP9Clt4!Su<qoW<{<M00WCug4++1F9z0M}hpX)<8)U#g`JrPjiB&LNtq"
    "!wf);_sw^o&pWSC<AOZyS&D;fEP&kp)dlNTG#kE*1_#H(7xAGa0@+xC)&07=p*UFI1gmx!Ph}*hQf;|qCUQKB0V}k=IemK+M+e%n"
    "d4npx)7n=vQI*pCN=n^j9psuTv67N5;x*94l8Adc;$9ljJQ~Z<gcLF~lLd_6wqu`o;9%WGuzi*+azZY+2t?Pbg_c1n>q&sWSg);t"
    "?V$Qd>P+(*W|lY!w8fSehTFUdtz^*UN{R4L?0A#Vs$DeB-xb9!v0j?Re7Ta2c;KD0&@y$)WiOIk+FveKDCs9FsYzoWvw6NICJW3{"
    "UczjYGFQ&#spxs%cxW|??YnBB%C3M~tygE_r+vd@7PaqvF#cOq@x>6_tBD^5`2H^af4e(w62Cbfy_&emRy$}1u0NQK#*rI!JHx>s"
    "z8^imYo9m(r4M|iyQ)XG*dMQw%a#"
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="300MB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def written(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, **options)
    return path


def test_moments_as_int96_keep_their_nanoseconds_and_far_years(engine: DuckEngine, tmp_path: Path) -> None:
    import pyarrow as pa

    nanos = pa.array([1971968000123456111, 1971968000123456999, -1, None], pa.timestamp("ns"))
    path = written(tmp_path / "1.parquet", {"at": nanos}, use_deprecated_int96_timestamps=True)
    assert values(engine, PARQUET, path) == [
        ("2032-06-27 16:53:20.123456111",),
        ("2032-06-27 16:53:20.123456999",),
        ("1969-12-31 23:59:59.999999999",),
        (None,),
    ]
    far = pa.array([datetime(9999, 12, 31, 23, 59, 59, 999_999), datetime(1, 1, 1)], pa.timestamp("us"))
    path = written(tmp_path / "2.parquet", {"at": far}, use_deprecated_int96_timestamps=True)
    assert values(engine, PARQUET, path) == [("9999-12-31 23:59:59.999999",), ("0001-01-01 00:00:00",)]
    inside = pa.array([{"at": 1971968000123456111}], pa.struct([("at", pa.timestamp("ns"))]))
    path = written(tmp_path / "3.parquet", {"v": inside}, use_deprecated_int96_timestamps=True)
    assert values(engine, PARQUET, path) == [('{"at":{"date":"2032-06-27","time":"16:53:20.123456111"}}',)]


def test_decimals_of_any_size_keep_every_digit(engine: DuckEngine, tmp_path: Path) -> None:
    import pyarrow as pa

    long, kind = Decimal("12345678901234567890123456789012345678901234567890.123456789"), pa.decimal256(76, 9)
    columns = {
        "k": [1, 2, 3],
        "wide": pa.array([long, None, Decimal("-0.000000001")], kind),
        "in": pa.array([{"d": long, "n": 1}, None, {"d": None, "n": 2}], pa.struct([("d", kind), ("n", pa.int8())])),
        "list": pa.array([[long], None, []], pa.list_(kind)),
        "narrow": pa.array([Decimal("1.10")] * 3, pa.decimal128(38, 2)),
    }
    path = written(tmp_path / "1.parquet", columns, row_group_size=2)
    assert values(engine, PARQUET, path) == [
        ("1", f"{long}", f'{{"d":"{long}","n":1}}', f'["{long}"]', "1.10"),
        ("2", None, None, None, "1.10"),
        ("3", "-0.000000001", '{"d":null,"n":2}', "[]", "1.10"),
    ]


def test_what_is_in_a_variant_keeps_every_digit(engine: DuckEngine, tmp_path: Path) -> None:
    path = tmp_path / "1.parquet"
    number = "9876543210.123456789::DECIMAL(38,9)"
    engine.execute(
        f"COPY (SELECT {number}::VARIANT AS v, {{'a': {number}}}::VARIANT AS w, {{'a': {number}}} AS x) TO '{path}'"
    )
    inside = '{"a":9876543210.123456789}'
    assert values(engine, PARQUET, path) == [("9876543210.123456789", inside, inside)]


def test_a_name_that_is_no_text_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    path = written(tmp_path / "1.parquet", {"id": ["1"], "a\0b": ["x"]})
    assert refusal(engine, PARQUET, path) == "the name of column 2 is no text: 'a\\x00b'"


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_page_that_is_not_what_its_checksum_says_is_refused(engine: DuckEngine, tmp_path: Path, version: str) -> None:
    columns = {"id": list(range(2_000)), "name": [f"name {number}" for number in range(2_000)]}
    options = {"write_page_checksum": True, "data_page_version": version, "row_group_size": 700, "data_page_size": 500}
    path = written(tmp_path / "1.parquet", columns, compression="none", **options)
    assert values(engine, PARQUET, path)[-1] == ("1999", "name 1999")
    whole = path.read_bytes()
    for word in (b"name 5", b"name 1234", b"name 1999"):
        damaged = bytearray(whole)
        damaged[whole.index(word) + 3] ^= 1
        path.write_bytes(damaged)
        assert "is not what its checksum says" in refusal(engine, PARQUET, path)


@pytest.mark.long
def test_one_file_that_cannot_be_taken_leaves_the_others(engine: DuckEngine, tmp_path: Path) -> None:
    import pyarrow as pa

    landing = tmp_path / "landing"
    landing.mkdir()
    for name in ("a", "c", "z"):
        written(landing / f"{name}.parquet", {"id": [name]})
    (landing / "broken.parquet").write_bytes(zlib.decompress(base64.b85decode(BROKEN)))
    written(landing / "large.parquet", {"v": pa.array(["x" * (600 << 20)], pa.large_string())})
    feed, now = Feed("shop", "orders", "*.parquet", "parquet"), datetime(2031, 1, 1, tzinfo=UTC)
    done = ingest.run(engine, landing, tmp_path / "bronze", feed, batch="b", now=now, settle=0)
    assert (done.read, done.files) == (3, 3)
    broken, large = done.refusals
    assert broken.where and broken.where.endswith("broken.parquet")
    assert broken.what.startswith("the engine stopped with an error of its own (INTERNAL Error: ")
    assert large.where and large.where.endswith("large.parquet")
    assert large.what.startswith("too large: reading it takes more than MEMORY_LIMIT")


def test_after_an_error_of_its_own_the_engine_goes_on(engine: DuckEngine, tmp_path: Path) -> None:
    path = tmp_path / "1.parquet"
    path.write_bytes(zlib.decompress(base64.b85decode(BROKEN)))
    engine.publish("silver.shop.orders", "SELECT 1 AS a")
    engine.set_run_date(date(2031, 1, 1))
    engine.table("large", "SELECT 1", large=True)
    with pytest.raises(DataError, match="the engine stopped with an error of its own") as stopped:
        engine.rows(f"SELECT * FROM read_parquet('{path}')")
    assert stopped.value.fix
    assert engine.rows("SELECT a, run_date() FROM silver.shop.orders") == [(1, date(2031, 1, 1))]
    assert engine.table("large", "SELECT 2", large=True) == 1
    assert engine.one("SELECT current_setting('memory_limit'), current_setting('TimeZone')") == ("286.1 MiB", "UTC")


def test_what_a_statement_may_read_stays_confined_after_such_an_error(tmp_path: Path) -> None:
    path = tmp_path / "1.parquet"
    path.write_bytes(zlib.decompress(base64.b85decode(BROKEN)))
    (tmp_path / "other.csv").write_text("a\n1\n")
    engine = DuckEngine(memory_limit="300MB", threads=2, spill=tmp_path / "spill")
    broken = engine.scan_files(tmp_path, [DataFile("1.parquet", 1, 1)], {})
    engine.confine()
    with pytest.raises(DataError, match="the engine stopped with an error of its own"):
        engine.rows(f"SELECT * FROM read_parquet('{path}')")
    with pytest.raises(UsageError):
        engine.rows(f"FROM read_csv('{tmp_path / 'other.csv'}')")
    assert str(path) in broken
    engine.close()


# -- files of one schema


def test_files_have_the_same_schema_only_where_each_column_has_the_same_name_and_type(tmp_path: Path) -> None:
    import pyarrow as pa

    number, day = pa.array([1], pa.int32()), pa.array([date(2031, 1, 1)])
    nested = [pa.array([{name: 1}], pa.struct([(name, kind)])) for name, kind in [("x", pa.int8()), ("y", pa.int8())]]
    moments = [pa.array([datetime(2031, 1, 1)], pa.timestamp(unit)) for unit in ("ms", "us", "ns")]
    tables: list[dict[str, Any]] = [{"a": number}, {"A": number}, {"b": number}, {"a": day}, {"a": number, "b": day}]
    tables += [{"a": column} for column in (*nested, *moments, pa.array([b"x"]), pa.array(["x"]), pa.array([1]))]
    tables += [{"a": pa.array([1], pa.uint32())}, {"a": pa.array([Decimal("1.1")]), "b": number}]
    schemas = [schema_bytes(written(tmp_path / "1.parquet", table)) for table in tables]
    assert len(set(schemas)) == len(tables) and None not in schemas
    again = [schema_bytes(written(tmp_path / "2.parquet", table, compression="gzip")) for table in tables]
    assert again == schemas


def test_a_footer_that_does_not_say_all_is_no_known_schema(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = written(tmp_path / "1.parquet", {"a": [1]})
    whole = path.read_bytes()
    assert schema_bytes(path)
    for content in (b"", b"PAR1", whole[:-1], whole[:-4] + b"PARE", whole[:8] + b"\xff\xff\xff\x7fPAR1", whole[-40:]):
        path.write_bytes(content)
        assert schema_bytes(path) is None
    pq.write_table(pa.table({"a": [b"x"]}).replace_schema_metadata({"geo": "{}"}), path)
    assert schema_bytes(path) is None


def test_columns_may_have_the_names_of_what_the_reader_counts(engine: DuckEngine, tmp_path: Path) -> None:
    for name in ("file_row_number", "FILE_INDEX", "filename", "c1", "_first"):
        paths = [written(tmp_path / f"{nth}.parquet", {name: ["x", "y"], "a": [nth, 2]}) for nth in (1, 2)]
        assert [values(engine, PARQUET, path) for path in paths] == [[("x", "1"), ("y", "2")], [("x", "2"), ("y", "2")]]
        kind = readers.read(engine, PARQUET, paths[0]).kind
        assert (kind is None) == (name.lower() in ("file_row_number", "file_index"))


def landed_files(lake: Lake, tables: dict[str, dict[str, Any]]) -> None:
    lake.shop().edit("silver/shop/orders.yaml", "*.csv, format: csv", "*.parquet, format: parquet")
    (lake.data / "landing/shop/orders").mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        written(lake.data / f"landing/shop/orders/{name}.parquet", columns)


ROWS = "SELECT order_id, day, amount, updated, _file, _row FROM bronze.shop.orders ORDER BY _file, _row"


def orders(*keys: int, day: object = "2024-01-01", amount: object = 1) -> dict[str, Any]:
    return {
        "order_id": list(keys), "day": [day] * len(keys), "amount": [amount] * len(keys), "updated": [1] * len(keys)
    }  # fmt: skip


def test_many_files_of_several_schemas_are_one_statement(lake: Lake) -> None:
    tables = {f"{nth:02}": orders(*range(nth)) for nth in range(60)}
    tables["07"] = orders(7, 8, day=date(2024, 1, 2))
    tables["31"] = dict(reversed(orders(9, 9).items()))
    tables["40"] = orders(5, amount=Decimal("1.10"))
    landed_files(lake, tables)
    lake.good()
    days, amounts = {"07": "2024-01-02"}, {"40": "1.10"}
    assert lake.rows(ROWS) == [
        (str(key), days.get(name, "2024-01-01"), amounts.get(name, "1"), "1", f"shop/orders/{name}.parquet", row)
        for name, columns in tables.items()
        for row, key in enumerate(columns["order_id"], 1)
    ]
    assert len(list((lake.data / "bronze/shop/orders").glob("*.parquet"))) == 1


def test_a_damaged_file_of_a_known_schema_takes_none_of_the_others_along(lake: Lake) -> None:
    tables = {f"{nth}": orders(nth) for nth in range(6)}
    landed_files(lake, tables)
    landing = lake.data / "landing/shop/orders"
    for name in ("2", "4"):
        content = (landing / f"{name}.parquet").read_bytes()
        cut = content[:4] + content[40:]  # the footer is whole, and so is its schema, but its pages lie elsewhere
        (landing / f"{name}.parquet").write_bytes(content[:9] + b"\xff" * 30 + content[39:] if name == "2" else cut)
    run = lake.run()
    refused = str(run.failures["bronze.shop.orders"])
    assert "2.parquet" in refused or "4.parquet" in refused
    taken = [key for key, *_ in lake.rows(ROWS)]
    assert taken == ["0", "1", "3", "5"]


# -- any value of any type


def kinds() -> list[tuple[Any, st.SearchStrategy[Any], Any]]:
    """Types, values of them, and the text of a value."""
    import pyarrow as pa

    naive = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
    whole = [
        (kind, st.integers(low, high), str)
        for bits in (8, 16, 32, 64)
        for kind, low, high in (
            (getattr(pa, f"int{bits}")(), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
            (getattr(pa, f"uint{bits}")(), 0, 2**bits - 1),
        )
    ]
    decimals = [
        (kind(digits, places), st.integers(-(10**digits) + 1, 10**digits - 1).map(scaled(places)), Decimal)
        for kind, digits, places in (
            (pa.decimal32, 9, 9),
            (pa.decimal64, 18, 0),
            (pa.decimal128, 38, 37),
            (pa.decimal256, 38, 2),
            (pa.decimal256, 39, 2),
            (pa.decimal256, 76, 38),
        )
    ]
    nanos = st.integers(-(2**63) + 2, 2**63 - 2)  # the engine takes those beside for infinity
    return [
        *whole,
        *decimals,
        (pa.bool_(), st.booleans(), lambda value: str(value).lower()),
        (pa.string(), st.text(st.characters(exclude_categories=["Cs"])), str),
        (pa.binary(), st.binary(), bytes.hex),
        (pa.binary(4), st.binary(min_size=4, max_size=4), bytes.hex),
        (pa.float64(), st.floats(allow_nan=False, allow_infinity=False), float),
        (pa.date32(), st.dates(), date.isoformat),
        (pa.timestamp("us"), naive, moment),
        (
            pa.timestamp("us", "UTC"),
            naive.map(lambda value: value.replace(tzinfo=UTC)),
            lambda value: moment(value) + "+00",
        ),
        (pa.timestamp("ns"), nanos, nanosecond),
        (pa.timestamp("ns", "UTC"), nanos, lambda value: nanosecond(value) + "+00"),
        (pa.time64("ns"), st.integers(0, 86_400 * 10**9 - 1), lambda value: nanosecond(value).split()[1]),
    ]


def scaled(places: int) -> Any:
    return lambda digits: Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -places))


def compared(text: str | None, wanted: object) -> object:
    """A text as what it is compared with: numbers have many texts."""
    if text is None or not isinstance(wanted, float | Decimal):
        return text
    return type(wanted)(text)


def moment(value: datetime) -> str:
    text = value.replace(tzinfo=None).isoformat(" ", "seconds")
    return f"{text}.{value.microsecond:06}".rstrip("0") if value.microsecond else text


def nanosecond(value: int) -> str:
    seconds, rest = divmod(value, 10**9)
    text = (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat(" ", "seconds")
    return f"{text}.{rest:09}".rstrip("0") if rest else text


@pytest.mark.parametrize("place", range(len(kinds())), ids=[str(kind[0]) for kind in kinds()])
def test_any_value_comes_out_as_it_went_in(engine: DuckEngine, tmp_path: Path, place: int) -> None:
    import pyarrow as pa

    kind, strategy, text = kinds()[place]

    @settings(max_examples=4, deadline=None, database=None)  # few files, each of many values: a file is what takes time
    @given(st.lists(st.none() | strategy, min_size=20, max_size=40))
    def holds(cells: list[Any]) -> None:
        columns = {"v": pa.array(cells, kind), "n": pa.array([{"v": cell} for cell in cells], pa.struct([("v", kind)]))}
        rows = values(engine, PARQUET, written(tmp_path / "1.parquet", columns))
        wanted = [None if cell is None else text(cell) for cell in cells]
        assert [compared(row[0], want) for row, want in zip(rows, wanted, strict=True)] == wanted
        assert all(json.loads(row[1]).keys() == {"v"} for row in rows)

    holds()


@pytest.mark.parametrize("place", range(len(kinds())), ids=[str(kind[0]) for kind in kinds()])
def test_any_value_of_files_read_in_turn_comes_out_beside_its_file_and_number(
    engine: DuckEngine, tmp_path: Path, place: int
) -> None:
    import pyarrow as pa

    kind, strategy, text = kinds()[place]
    paths = [tmp_path / f"{nth}.parquet" for nth in range(3)]

    @settings(max_examples=4, deadline=None, database=None)
    @given(st.lists(st.lists(st.none() | strategy, max_size=9), min_size=3, max_size=3))
    def holds(contents: list[list[Any]]) -> None:
        for path, cells in zip(paths, contents, strict=True):
            inside = pa.array([{"v": cell} for cell in cells], pa.struct([("v", kind)]))
            written(path, {"v": pa.array(cells, kind), "n": inside}, row_group_size=4)
        rows = [readers.read(engine, PARQUET, path) for path in paths]
        if rows[0].kind is None:  # Arrow takes part
            assert str(kind) in ("decimal256(39, 2)", "decimal256(76, 38)")
            for stream in (name for each in rows for name in each.streams):
                engine.unstream(stream)
            return
        assert len({each.kind for each in rows}) == 1
        found = engine.rows(f"SELECT * FROM ({readers.in_turn(rows).sql}) ORDER BY _file, _row")
        assert [(row[-1], row[2]) for row in found] == [
            (file, number) for file, cells in enumerate(contents, 1) for number in range(1, len(cells) + 1)
        ]
        wanted = [None if cell is None else text(cell) for cells in contents for cell in cells]
        assert [compared(row[0], want) for row, want in zip(found, wanted, strict=True)] == wanted
        alone = [row for path in paths for row in values(engine, PARQUET, path)]
        assert [row[:2] for row in found] == alone

    holds()


@pytest.mark.parametrize("text", ["0.1", "65504.0", "6e-08", "-2.5"])
def test_small_floats_are_found_again_in_their_text(engine: DuckEngine, tmp_path: Path, text: str) -> None:
    import pyarrow as pa

    for kind in (pa.float16(), pa.float32()):
        column = pa.array([float(text)], kind)
        (row,) = values(engine, PARQUET, written(tmp_path / "1.parquet", {"v": column}))
        assert pa.array([float(row[0])], kind).equals(column)
