"""`measure` names what a gold table is looked at for: its column, how that adds up, and by what."""

from __future__ import annotations

import pytest
from conftest import MART, Lake

from src import contract, documents
from src.contract import Measure, Table
from src.errors import ContractErrors
from src.project import open_project


def declared(lake: Lake, value: str, old: str = "", new: str = "") -> Table:
    """The shop's daily table with a measure."""
    lake.shop()
    text = f"{MART}    customProperties: [{{property: measure, value: {value}}}]\n"
    lake.write("gold/shop/contract.yaml", text.replace(old, new) if old else text)
    return contract.load(lake.root / "src").gold["gold.shop.daily"]


def test_a_measure_is_a_column_how_it_adds_up_and_by_what(lake: Lake) -> None:
    table = declared(lake, "{column: amount, aggregate: avg, by: orders, weight: orders}")
    assert (table.measure, table.measured_by) == (Measure("amount", "avg", "orders", "orders"), "day")


def test_the_only_date_of_the_key_is_what_a_measure_is_drawn_over(lake: Lake) -> None:
    seen = "      - {name: seen, logicalType: date, physicalType: date, primaryKey: true}\n"
    table = declared(lake, "{column: amount, aggregate: sum}", "      - {name: orders", f"{seen}      - {{name: orders")
    assert (table.business_date, table.measured_by) == ("day", "seen")


@pytest.mark.parametrize(
    ("value", "what", "fix"),
    [
        ("{column: amont, aggregate: sum}", "no column amont", "did you mean `amount`? known: amount, day, orders"),
        ("{column: day, aggregate: sum}", "measure of day, which is DATE", "name a column of numbers"),
        ("{column: amount, aggregate: sum, by: shop}", "no column shop", "known: amount, day, orders"),
        ("{column: amount, aggregate: sum, by: day}", "measure by day, which is drawn already", "name another column"),
        ("{column: amount, aggregate: sum, weight: orders}", "weight of a sum", "only an average"),
        ("{column: amount, aggregate: avg, weight: day}", "measure of day, which is DATE", "name a column of numbers"),
        ("{column: amount}", "measure keys and values", "aggregate: sum, avg, min, max, last}"),
        ("{column: amount, aggregate: [sum]}", "measure keys and values", "write {column: a column"),
        ("amount", "measure 'amount'", "write {column: a column"),
    ],
)
def test_what_could_not_be_drawn_is_refused(lake: Lake, value: str, what: str, fix: str) -> None:
    with pytest.raises(ContractErrors) as raised:
        declared(lake, value)
    (error,) = raised.value.errors
    assert error.what == what
    assert error.where == "src/gold/shop/contract.yaml, schema[0].customProperties[measure]"
    assert fix in str(error.fix)


def test_a_measure_without_a_date_is_looked_at_by_something(lake: Lake) -> None:
    with pytest.raises(ContractErrors) as raised:
        declared(lake, "{column: amount, aggregate: sum}", ", partitioned: true, partitionKeyPosition: 1", "")
    assert [error.what for error in raised.value.errors] == ["measure with neither a date nor `by`"]


def test_a_measure_changes_no_row(lake: Lake) -> None:
    plain, measured = (
        declared(lake, "{column: orders, aggregate: sum}"),
        declared(lake, "{column: amount, aggregate: avg}"),
    )
    assert contract.fingerprint(plain) == contract.fingerprint(measured)


def test_the_readme_of_a_mart_names_its_measure(lake: Lake) -> None:
    declared(lake, "{column: amount, aggregate: avg, weight: orders}")
    with open_project(lake.settings) as project:
        readme = documents.mart_readme(project.contracts.marts["shop"], project)
    assert "- **Main measure:** `amount` by `day`, averaged, each row weighed by `orders`\n" in readme
