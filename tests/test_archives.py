"""What a feed's path takes: extensions in any case, packed files, and the files in a .zip, which is taken whole."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest
from conftest import Lake
from test_readers import workbook

from src.bronze import appending
from src.bronze.readers import files
from src.contract.patterns import FilePattern

HEADER = "order_id,day,amount,updated\n"
TAKEN = "SELECT order_id, _file, _row FROM bronze.shop.orders ORDER BY _ingested_at, _file, _row"


def line(order: int) -> str:
    return f"{order},2024-01-01,10,1\n"


def zipped(members: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("path", "taken", "left"),
    [
        ("a/*.csv", ["a/x.csv", "a/X.CSV", "a/x.Csv.GZ", "a/x.zip", "a/x.csv.bz2"], ["a/x.csv2", "a/b/x.csv", "x.csv"]),
        ("a/Orders*.csv", ["a/Orders1.CSV"], ["a/orders1.csv"]),
        ("a/*.csv.gz", ["a/x.CSV.gz"], ["a/x.csv"]),
        ("a/in*.zip", ["a/in1.ZIP"], ["a/out.zip"]),
        ("a/**/*.csv", ["a/x.csv", "a/b/c/x.CSV"], ["b/x.csv", "ab/x.csv"]),
        ("*.csv", ["x.CSV"], ["a/x.csv"]),
        ("a/[xy].csv", ["a/x.CSV"], ["a/z.csv"]),
        ("a/*", ["a/x", "a/x.zip"], ["a/b/x"]),
    ],
)  # fmt: skip
def test_a_path_takes_names_with_their_extension_in_any_case(
    tmp_path: Path, path: str, taken: list[str], left: list[str]
) -> None:
    for name in (*taken, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pattern = FilePattern(path)
    found = {one.relative_to(tmp_path).as_posix() for one in pattern.find(tmp_path) if one.is_file()}
    assert found & {*taken, *left} == set(taken)
    assert [name for name in (*taken, *left) if pattern.may_take(name)] == taken


def test_files_are_taken_whatever_the_case_of_their_extension_and_their_packing(lake: Lake) -> None:
    lake.shop()
    texts = [(HEADER + line(number)).encode() for number in range(1, 6)]
    lake.land("shop/orders/1.CSV", texts[0])
    lake.land("shop/orders/2.csv.BZ2", bz2.compress(texts[1]))
    lake.land("shop/orders/3.Csv.xz", lzma.compress(texts[2]))
    lake.land("shop/orders/4.csv.GZ", gzip.compress(texts[3]))
    lake.land("shop/orders/5.csv.xz", lzma.compress(texts[4])[:-20])
    lake.land("shop/orders/6.csv.bz2", b"no bzip2")
    run = lake.run()
    assert run.unclaimed == []
    what = str(lake.step(run, "bronze.shop.orders").error_message)
    assert "damaged xz file" in what and "damaged bzip2 file" in what
    assert [row[1] for row in lake.rows(TAKEN)] == [
        f"shop/orders/{name}" for name in ("1.CSV", "2.csv.BZ2", "3.Csv.xz", "4.csv.GZ")
    ]


def test_every_file_of_an_archive_whose_name_fits_is_read_and_the_archive_is_taken_once(lake: Lake) -> None:
    lake.shop()
    archive = zipped(
        {
            "part10.csv": HEADER + line(3),
            "deep/in it/part9.CSV": HEADER + line(1) + line(2),
            "bad.csv": HEADER + line(4) + "too,few\n",
            "readme.txt": "see above",
            "__MACOSX/._part10.csv": "\0",
            ".hidden.csv": "x",
            "empty/": "",
        }
    )
    lake.land("shop/orders/all.zip", archive)
    lake.land("shop/orders/other.zip", zipped({"a.txt": "x"}))
    lake.land("elsewhere/no.zip", zipped({"a.csv": HEADER}))
    run = lake.good()
    step = lake.step(run, "bronze.shop.orders")
    assert (step.files, step.records_read) == (1, 5)
    assert run.unclaimed == ["elsewhere/no.zip", "shop/orders/all.zip/readme.txt", "shop/orders/other.zip/a.txt"]
    home = "shop/orders/all.zip"
    assert lake.rows(TAKEN) == [
        ("4", f"{home}/bad.csv", 1),
        (None, f"{home}/bad.csv", 2),
        ("1", f"{home}/deep/in it/part9.CSV", 1),
        ("2", f"{home}/deep/in it/part9.CSV", 2),
        ("3", f"{home}/part10.csv", 1),
    ]
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0
    lake.land("shop/orders/copy.zip", archive)
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0
    lake.land("shop/orders/all.zip", zipped({"part10.csv": HEADER + line(7)}))
    assert lake.step(lake.good(), "bronze.shop.orders").records_read == 1
    assert not (lake.data / ".spill").exists() or not list((lake.data / ".spill").iterdir())


def test_an_archive_is_taken_whole_or_not_at_all(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "_FILES_AT_ONCE", 1)
    monkeypatch.setattr(appending, "_SMALL_AT_ONCE", 1)
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + line(1))
    lake.land("shop/orders/2.zip", zipped({"a.csv": HEADER + line(2), "b.csv": 'order_id,order_id\n"1",2\n'}))
    lake.land("shop/orders/3.zip", zipped({"c.csv": HEADER + line(3)}))
    run = lake.run()
    assert "2.zip/b.csv" in str(lake.step(run, "bronze.shop.orders").error_message)
    assert [row[0] for row in lake.rows(TAKEN)] == ["1", "3"]
    lake.land("shop/orders/2.zip", zipped({"a.csv": HEADER + line(2), "b.csv": HEADER + line(4)}))
    lake.good()
    assert sorted(row[0] for row in lake.rows(TAKEN)) == ["1", "2", "3", "4"]


def encrypted(archive: bytes) -> bytes:
    """The archive with its first member marked as encrypted, in both of its headers."""
    central = archive.index(b"PK\x01\x02")
    marked = bytearray(archive)
    marked[6] |= 1
    marked[central + 8] |= 1
    return bytes(marked)


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (b"PK\x03\x04 cut short", "damaged zip file"),
        (zipped({"a.csv": HEADER})[:-30], "damaged zip file"),
        (zipped({"a.csv": HEADER}, zipfile.ZIP_STORED).replace(b"order_id", b"order_ie", 1), "bad CRC-32"),
        (encrypted(zipped({"a.csv": HEADER})), "a.csv is encrypted"),
        (zipped({"a.csv": HEADER, "b.zip": zipped({"c.csv": HEADER})}), "an archive in the archive: b.zip"),
        (zipped({"a.csv.gz": gzip.compress(b"x")}), "a.csv.gz is packed again"),
        (zipped({"a.csv": HEADER + "0" * 300_000}), "unpacks to 300,028 bytes, more than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_that_cannot_be_taken_is_refused_with_the_reason(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, archive: bytes, why: str
) -> None:
    monkeypatch.setattr(files, "ALWAYS_UNPACKED", 200_000)
    lake.shop()
    lake.land("shop/orders/0.csv", HEADER + line(1))
    lake.land("shop/orders/1.zip", archive)
    run = lake.run()
    assert why in str(lake.step(run, "bronze.shop.orders").error_message)
    assert [row[0] for row in lake.rows(TAKEN)] == ["1"]


def test_a_workbook_in_an_archive_is_read_and_a_path_of_archives_takes_all_that_is_in_them(
    lake: Lake, tmp_path: Path
) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "*.csv", "*.zip")
    lake.edit("silver/shop/orders.yaml", "format: csv", "format: xlsx")
    book = workbook(tmp_path / "1.xlsx", {"s": [HEADER.strip().split(","), [1, "2024-01-01", 10, 1]]})
    lake.land("shop/orders/1.zip", zipped({"whatever.xls": book.read_bytes()}))
    lake.good()
    assert lake.rows("SELECT order_id, amount FROM silver.shop.orders") == [(1, 10)]
