"""A shop that sends parcels, and a model of which of them come late: contracts, and parcels as a test wants them."""

from __future__ import annotations

from datetime import date, timedelta

from conftest import Lake

PARCELS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.parcels
name: Parcels
version: 1.0.0
status: active
domain: shop
description: {purpose: Parcels.}
servers:
  - {server: parcels, type: local, path: shop/parcels/*.csv, format: csv}
schema:
  - name: parcels
    logicalType: object
    physicalType: table
    properties:
      - {name: parcel_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: sent, logicalType: date, physicalType: date, required: true}
      - {name: arrived, logicalType: date, physicalType: date}
      - {name: carrier, logicalType: string, physicalType: varchar}
      - {name: is_cold, logicalType: boolean, physicalType: boolean}
      - {name: km, logicalType: number, physicalType: double}
"""

FEATURES = """
apiVersion: v3.1.0
kind: DataContract
id: shop
name: Shop
version: 1.0.0
status: active
domain: shop
description: {purpose: What is known of a parcel when it is sent.}
team: {name: Shop, members: [{username: shop-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: parcel_features
    logicalType: object
    physicalType: table
    properties:
      - {name: parcel_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: sent, logicalType: date, physicalType: date, required: true}
      - name: carrier
        logicalType: string
        physicalType: varchar
        customProperties: [{property: feature, value: true}]
      - name: is_cold
        logicalType: boolean
        physicalType: boolean
        customProperties: [{property: feature, value: true}]
      - name: km
        logicalType: number
        physicalType: double
        customProperties: [{property: feature, value: true}]
    customProperties:
      - {property: eventTime, value: sent}
      - {property: knownAt, value: {silver.shop.parcels: {rows: sent}}}
"""

MODEL = """
version: 1.0.0
owner: shop-office
description: Which parcels come more than three days after they were sent.
features: gold.shop.parcel_features
label: {table: silver.shop.parcels, value: arrived > sent + 3, knownAt: arrived}
algorithm: logistic_regression
baseline: carrier
"""

HEADER = "parcel_id,sent,arrived,carrier,is_cold,km\n"
MODEL_ID, MODEL_FILE = "models.shop.late", "ml/shop/late.yaml"
FIRST = date(2026, 1, 1)


def parcel(number: int, day: int, days: int | None, carrier: str = "north", is_cold: str = "", km: object = "") -> str:
    """A line of one parcel: sent `day` days after the first of January, arrived so many days later."""
    sent = FIRST + timedelta(days=day)
    arrived = "" if days is None else sent + timedelta(days=days)
    return f"{number},{sent},{arrived},{carrier},{is_cold},{km}\n"


def parcels(count: int = 200, first: int = 0, start: int = 0) -> str:
    """Lines of parcels, two a day: the longer the way, the later; those of south and the cold ones a little more."""
    lines = []
    for nth in range(first, first + count):
        carrier = ("north", "south", "west")[nth % 3]
        km = (nth * 37) % 100
        days = 2 + (km + 25 * (carrier == "south") + (nth * 53) % 40 > 80) * 4
        lines.append(parcel(nth, start + (nth - first) // 2, days, carrier, str(nth % 5 == 0).lower(), km))
    return "".join(lines)


def sends_parcels(lake: Lake, lines: str | None = None, model: str = MODEL) -> Lake:
    """The lake of the shop after a run over these parcels."""
    lake.write("silver/shop/parcels.yaml", PARCELS)
    lake.write("gold/shop/contract.yaml", FEATURES)
    lake.write("gold/shop/parcel_features.sql", "SELECT parcel_id, sent, carrier, is_cold, km FROM silver.shop.parcels")
    lake.write(MODEL_FILE, model)
    lake.land("shop/parcels/1.csv", HEADER + (parcels() if lines is None else lines))
    lake.good()
    return lake
