"""What says which row is newer: columns with an order of their own, or SQL over them; text only where that is meant."""

from __future__ import annotations

import pytest
from conftest import Lake

from src.errors import ContractError, ContractErrors

STOCK = """
apiVersion: v3.1.0
kind: DataContract
id: silver.shop.stock
version: 1.0.0
status: active
servers: [{server: stock, type: local, path: "shop/stock/*.csv", format: csv}]
schema:
  - name: stock
    properties:
      - {name: article, logicalType: string, primaryKey: true}
      - {name: level, logicalType: integer}
      - {name: changed, logicalType: string, required: true}
    customProperties:
      - {property: sequenceBy, value: SEQUENCE}
"""
HEADER = "article,level,changed\n"
ROWS = ("A1,9,2031-05-01T10:00:00.000000100Z\n", "A1,3,2031-05-01T10:00:00.000000800Z\n")
LEVELS = "SELECT article, level FROM silver.shop.stock ORDER BY 1"


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]])
@pytest.mark.parametrize("files", [1, 2])
def test_an_expression_orders_by_all_digits(lake: Lake, rows: tuple[str, ...], files: int) -> None:
    lake.write("silver/shop/stock.yaml", STOCK.replace("SEQUENCE", '"changed::TIMESTAMP_NS"'))
    lake.land("shop/stock/0.csv", HEADER + "B2,5,2031-05-01\nC3,1,soon\n")
    for at in range(files):
        lake.land(f"shop/stock/{at + 1}.csv", HEADER + "".join(rows[at::files]))
        lake.good()
    assert lake.rows(LEVELS) == [("A1", 3), ("B2", 5)]
    reason = "sequenceBy: cannot compute changed::TIMESTAMP_NS"
    assert lake.rows("SELECT _reasons FROM quarantine.shop.stock") == [([reason],)]


def test_a_new_table_is_not_ordered_by_text_unless_the_contract_says_that_it_is_meant(lake: Lake) -> None:
    lake.write("silver/shop/stock.yaml", STOCK.replace("SEQUENCE", "changed"))
    lake.land("shop/stock/1.csv", HEADER + "A1,9,9\nA1,3,10\n")
    [error] = lake.run().failures.values()
    assert isinstance(error, ContractError)
    assert error.what == "sequenceBy changed is text, of which 9 is more than 10"
    said = "SEQUENCE}\n      - {property: sequenceOrder, value: text}"
    lake.write("silver/shop/stock.yaml", STOCK.replace("SEQUENCE}", said).replace("SEQUENCE", "changed"))
    lake.good()
    assert lake.rows(LEVELS) == [("A1", 9)]
    # one that is built goes on, and says so
    lake.write("silver/shop/stock.yaml", STOCK.replace("SEQUENCE", "changed"))
    lake.land("shop/stock/2.csv", HEADER + "A1,4,99\n")
    run = lake.good()
    assert "is text, of which 9 is more than 10: write" in str(lake.step(run, "silver.shop.stock").notes)
    assert lake.rows(LEVELS) == [("A1", 4)]


def test_a_sequence_that_is_no_sql_is_refused(lake: Lake) -> None:
    lake.write("silver/shop/stock.yaml", STOCK.replace("SEQUENCE", '"changed +"'))
    with pytest.raises(ContractErrors, match="sequenceBy: the SQL does not parse"):
        lake.run()
