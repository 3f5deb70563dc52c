"""A file's name never decides whether its rows are taken; one that is no text is refused, and the others are taken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Lake

from src.errors import MachineError

LIST = """
apiVersion: v3.1.0
kind: DataContract
id: silver.shop.list
version: 1.0.0
status: active
servers:
  - {server: list, type: local, path: "shop/list/**/*.csv", format: csv}
schema:
  - name: list
    properties:
      - {name: k, logicalType: integer, primaryKey: true}
      - {name: v, logicalType: string}
    customProperties:
      - {property: sequenceBy, value: [k]}
"""
NAMES = [
    "plain",
    "two\nlines",
    "bell\x07 and \x1b[31mred",
    "tab\there",
    "100%",
    "%41%20b",
    "st*r",
    "[a-z]",
    "wh?t",
    "{a,b}",
    "it's",
    'say "so"',
    "back\\slash",
    "x=1",
    "a=1/b=2/c",
    "#hash & more; $HOME",
    " blanks ",
    "é\u0301\u202e\U0001f6a3",
    "~tilde",
    "-dash",
    "y" * 200,
]


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


FORMS = {
    "csv": lambda rows: ("k,v\n" + "".join(f"{row['k']},{row['v']}\n" for row in rows)).encode(),
    "ndjson": lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    "json": lambda rows: json.dumps(rows).encode(),
    "parquet": as_parquet,
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_taken_whatever_the_file_is_called(lake: Lake, form: str) -> None:
    lake.write(
        "silver/shop/list.yaml",
        LIST.replace("*.csv, format: csv", "")
        .replace('*.csv"', f'*.{form}"')
        .replace("format: csv", f"format: {form}"),
    )
    many = 1000 if form == "ndjson" else 1  # long enough for the engine's own reader
    for at, name in enumerate(NAMES):
        rows = [{"k": str(at * many + row), "v": f"value {at}" + "-" * (many // 25)} for row in range(many)]
        lake.land(f"shop/list/{name}.{form}", FORMS[form](rows))
    lake.good()
    assert lake.rows("SELECT count(*) FROM silver.shop.list") == [(len(NAMES) * many,)]
    files = lake.rows("SELECT DISTINCT _file FROM bronze.shop.list ORDER BY 1")
    assert files == sorted((f"shop/list/{name}.{form}",) for name in NAMES)
    assert lake.step(lake.good(), "bronze.shop.list").files == 0


def test_a_bad_line_is_kept_whatever_its_file_is_called(lake: Lake) -> None:
    lake.write("silver/shop/list.yaml", LIST)
    for at, name in enumerate(NAMES):
        lake.land(f"shop/list/{name}.csv", f"k,v\n{at},ok\n{at},too,many\n")
    lake.good()
    found = lake.rows("SELECT _file, _row FROM quarantine.shop.list ORDER BY 1")
    assert found == sorted((f"shop/list/{name}.csv", 2) for name in NAMES)


def test_a_name_that_is_no_text_is_refused_by_it_and_the_others_are_taken(lake: Lake) -> None:
    lake.write("silver/shop/list.yaml", LIST)
    lake.land("shop/list/good.csv", "k,v\n1,ok\n")
    folder = os.fsencode(lake.data / "landing/shop/list")
    for name in (b"caf\xe9.csv", b"sub\xff/deep.csv"):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"k,v\n2,x\n")
    with open(os.path.join(folder, b"no feed \xff takes.txt"), "wb"):
        pass
    run = lake.run()
    said = f"{run.failures['bronze.shop.list']}\n{lake.step(run, 'bronze.shop.list').error_message}"
    assert "shop/list/caf\\xe9.csv" in said
    assert "the name is not UTF-8" in said
    assert run.unclaimed == ["shop/list/no feed \\xff takes.txt"]
    assert lake.rows("SELECT k FROM bronze.shop.list") == [("1",)]
    (lake.data / "landing/shop/list").joinpath(os.fsdecode(b"caf\xe9.csv")).unlink()
    assert "sub\\xff/deep.csv" in str(lake.run().failures["bronze.shop.list"])
    (lake.data / "landing/shop/list").joinpath(os.fsdecode(b"sub\xff/deep.csv")).unlink()
    lake.good()
    assert lake.rows("SELECT v FROM silver.shop.list") == [("ok",)]


@pytest.mark.parametrize("folder", ["%zz", "x=1, it's 100% [a b#c?d]"])
def test_a_project_may_lie_in_any_folder(tmp_path: Path, folder: str) -> None:
    project = Lake(tmp_path / folder)
    (project.root / "src/silver").mkdir(parents=True)
    (project.root / "src/gold").mkdir()
    project.shop()
    project.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01\n")
    project.good()
    project.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2024-01-01,20,2\n")
    project.good()
    assert project.rows("SELECT amount FROM silver.shop.orders") == [(20,)]
    assert project.rows("SELECT amount FROM gold.shop.daily") == [(20,)]
    assert project.findings() == []
    assert os.listdir(tmp_path) == [folder]  # and nowhere beside it


@pytest.mark.parametrize(("folder", "taken_for"), [("%41", "A"), ("back\\slash", "back/slash")])
def test_a_folder_that_the_delta_library_misreads_is_refused_before_anything_is_written(
    tmp_path: Path, folder: str, taken_for: str
) -> None:
    project = Lake(tmp_path / folder)
    (project.root / "src/silver").mkdir(parents=True)
    (project.root / "src/gold").mkdir()
    project.shop()
    project.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    with pytest.raises(MachineError, match=f"for {tmp_path}/{taken_for}/data/"):
        project.run()
    assert os.listdir(tmp_path) == [folder]
