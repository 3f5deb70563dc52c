"""Masking: what people read of classified columns; the pipeline reads them as they are."""

from __future__ import annotations

from conftest import ORDERS, Lake

CUSTOMERS = ORDERS.replace(
    "physicalType: integer}",
    "physicalType: integer}\n"
    "      - {name: email, logicalType: string, physicalType: varchar, classification: pii}\n"
    "      - {name: note, logicalType: string, physicalType: varchar}",
    1,
)


def test_no_table_is_built_again_for_a_classification_or_a_mask(lake: Lake) -> None:
    lake.shop().write("silver/shop/orders.yaml", CUSTOMERS)
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated,email,note\n1,2024-01-01,10,1,ada@example.com,hi\n")
    lake.good()
    changed = "classification: pii, customProperties: [{property: mask, value: partial}]"
    lake.edit("silver/shop/orders.yaml", "classification: pii", changed)
    assert {step.action for step in lake.planned()} == {"nothing"}
    lake.edit("silver/shop/orders.yaml", changed, "classification: public")
    assert {step.action for step in lake.planned()} == {"nothing"}
    assert sum(record.records_written for record in lake.good().steps) == 0
