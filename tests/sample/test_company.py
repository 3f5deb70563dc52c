"""What was built, sold, shipped and returned, told of one model and week from three domains."""

from __future__ import annotations

import shutil

import pytest
from conftest import ROOT, Lake

LOG = (
    "Serial Number,Model,Part Number,Station,Workstation,Operator,Pass/Fail,Failure Code,Test Start,Test End,"
    "Service Flow\n"
)
INVOICES = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
SHIPMENTS = (
    "ShipmentID,OrderID,CustomerID,Carrier,Origin,Destination,Shipped,Promised,Delivered,Revenue,Cost,WeightKg,"
    "CarbonKg,UpdatedAt\n"
)
SHIPMENT = "{number},{order},12346,HARRIER,Hull,Germany,{day},{day},,100.00,60.00,2.50,0.400,{day} 18:00:00\n"
CUSTOMERS = "CustomerID,Name,Segment,Country,ChangedOn\n12346,Ada,shop,Germany,2026-01-01\n"
CARRIERS = "Carrier,Name,Mode,OnTimeTarget,ChangedOn\nHARRIER,Harrier Lines,road,95,2026-01-01\n"
DEVICES = "SELECT week::VARCHAR, model, built, sold, shipped, returned FROM gold.company.weekly_devices ORDER BY 1, 2"


@pytest.fixture
def company(lake: Lake) -> Lake:
    """A lake with the shipped contracts of the company and of what it reads."""
    for name in ("silver/manufacturing", "silver/sales", "silver/delivery", "gold/manufacturing", "gold/company"):
        shutil.copytree(ROOT / "src" / name, lake.root / "src" / name)
    return lake


def packed(lake: Lake, name: str, *units: tuple[str, str, str]) -> None:
    """Land a log in which units (serial, model, day) are packed."""
    rows = (f"{s},{m},PN-1,Packing,PCK-01,OP1,PASS,,{d} 10:00:00,{d} 10:01:00,PRODUCTION\n" for s, m, d in units)
    lake.land(f"manufacturing/workstation_log/{name}.csv", LOG + "".join(rows))


def invoiced(lake: Lake, name: str, *lines: tuple[str, str, int, str]) -> None:
    """Land invoice lines (number, stock code, quantity, day)."""
    rows = (f"{n},{code},Thing,{q},{d} 12:00:00,24.95,12346.0,Germany\n" for n, code, q, d in lines)
    lake.land(f"sales/order_lines/{name}.csv", INVOICES + "".join(rows))


def shipped(lake: Lake, name: str, *orders: tuple[str, str, str]) -> None:
    """Land shipments (number, order, day), and the customer and the carrier that they name."""
    lake.land("delivery/customers/1.csv", CUSTOMERS)
    lake.land("delivery/carriers/1.csv", CARRIERS)
    rows = (SHIPMENT.format(number=number, order=order, day=day) for number, order, day in orders)
    lake.land(f"delivery/shipments/{name}.csv", SHIPMENTS + "".join(rows))


def test_each_column_counts_in_the_week_in_which_it_happened(company: Lake) -> None:
    packed(company, "A", ("0261310001", "HL100", "2026-03-23"), ("0261310002", "HL100", "2026-03-29"))
    packed(company, "B", ("0261310003", "WS300", "2026-03-30"), ("0261310001", "HL100", "2026-03-31"))
    invoiced(
        company,
        "1",
        ("536001", "HL100", 6, "2026-03-29"),
        ("536001", "22423", 9, "2026-03-29"),  # not made here
        ("536002", "HL100", 2, "2026-03-30"),
        ("536003", "WS300", 1, "2026-03-30"),  # carried home
        ("C536004", "HL100", -1, "2026-04-06"),
        ("536005", "WS300", -3, "2026-04-06"),  # written off, not returned
    )
    shipped(company, "1", ("S000001", "536001", "2026-03-31"), ("S000002", "536002", "2026-04-05"))
    company.good()
    assert company.rows(DEVICES) == [
        ("2026-03-23", "HL100", 2, 6, 0, 0),
        ("2026-03-30", "HL100", 0, 2, 8, 0),
        ("2026-03-30", "WS300", 1, 1, 0, 0),
        ("2026-04-06", "HL100", 0, 0, 0, 1),
    ]


@pytest.mark.long
def test_what_comes_late_goes_into_its_own_week(company: Lake) -> None:
    packed(company, "A", ("0261310001", "HL100", "2026-03-23"))
    shipped(company, "1", ("S000001", "536001", "2026-03-31"))
    company.good()
    assert company.rows(DEVICES) == [("2026-03-23", "HL100", 1, 0, 0, 0)]
    invoiced(company, "1", ("536001", "HL100", 6, "2026-03-24"))
    company.good()
    assert company.rows(DEVICES) == [("2026-03-23", "HL100", 1, 6, 0, 0), ("2026-03-30", "HL100", 0, 0, 6, 0)]
    # a second shipment of the order ships nothing more, an earlier one moves what was shipped
    shipped(company, "2", ("S000002", "536001", "2026-04-07"), ("S000003", "536001", "2026-03-27"))
    company.good()
    assert company.rows(DEVICES) == [("2026-03-23", "HL100", 1, 6, 6, 0)]


def test_the_workshop_alone_gives_what_was_built(company: Lake) -> None:
    packed(company, "A", ("0261310001", "HL100", "2026-03-23"))
    company.good()
    assert company.rows(DEVICES) == [("2026-03-23", "HL100", 1, 0, 0, 0)]
    invoiced(company, "1", ("536001", "HL100", 6, "2026-03-24"))
    company.good()
    assert company.rows(DEVICES) == [("2026-03-23", "HL100", 1, 6, 0, 0)]
