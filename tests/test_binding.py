"""A wrong column, a function that is none, a type that is not the contract's: told before a run, with its line."""

from __future__ import annotations

import pytest
from conftest import DAILY, ORDERS, Lake

from src.errors import ContractErrors

HEADER = "order_id,day,amount,updated\n"
FILE = HEADER + "1,2024-01-01,10,1\n"
GOLD, SILVER = "gold.shop.daily", "silver.shop.orders"
WRONG_MODELS = [
    (DAILY.replace("sum(amount)", "sum(amout)"), "no column amout", 2, "did you mean amount"),
    ("-- what it is\n\n" + DAILY.replace("sum(", "sume("), "no function sume", 4, "did you mean sum?"),
    (
        DAILY.replace("cast(sum(amount) AS decimal(18,2))", "sum(amount)"),
        f"{GOLD}: column amount is DECIMAL(38,2), the contract says DECIMAL(18,2)",
        2,
        "end the model with a cast of every column",
    ),
    (DAILY.replace("count(*)", "round(day)"), "no function round(DATE)", 2, "it is called as round("),
    (DAILY.replace("GROUP BY day", "\nWHERE o.day > 1"), "referenced table", 4, ""),
    (DAILY.replace("day,", "day, 1 AS extra,"), f"{GOLD}: column extra is not in the contract", 2, "end the model"),
    (DAILY.replace("count(*) AS orders,", ""), f"{GOLD}: no column orders", None, "end the model"),
]


@pytest.mark.parametrize(("model", "what", "line", "fix"), WRONG_MODELS)
def test_a_wrong_model_is_told_by_the_plan_and_by_the_run_with_its_line(
    lake: Lake, model: str, what: str, line: int | None, fix: str
) -> None:
    lake.shop().write("gold/shop/daily.sql", model)
    what = "no table o" if what == "referenced table" else what
    where = f"daily.sql:{line}" if line else "daily.sql"
    for landed in (False, True):  # sources that are not built have the columns of their contract
        if landed:
            lake.land("shop/orders/1.csv", FILE)
        planned = next(step for step in lake.planned() if step.table == GOLD)
        assert planned.action == "fail"
        assert planned.why.startswith(what)
        assert f"{where}  " in planned.why
        assert fix in planned.why
    failed = lake.run().failures[GOLD]
    assert str(failed).replace("\n", " ") == planned.why


WRONG_EXPRESSIONS = [
    ("transformLogic: amout", "no file has a column amout", "is it amount?"),
    ("transformLogic: squre(amount)", "no function squre", "did you mean sq"),
    ("transformLogic: amount * 2", "no function *(VARCHAR, INTEGER_LITERAL)", "the columns there are: order_id, day"),
]


@pytest.mark.parametrize(("logic", "what", "near"), WRONG_EXPRESSIONS)
def test_a_wrong_expression_is_told_with_the_line_of_the_contract(lake: Lake, logic: str, what: str, near: str) -> None:
    lake.shop().edit(
        "silver/shop/orders.yaml", "required: true}\n      - {name: updated", f"{logic}}}\n      - {{name: updated"
    )
    line = 1 + next(at for at, text in enumerate(_text(lake).splitlines()) if "transformLogic" in text)
    if "no file" not in what:  # of files that no run has taken the columns are not known
        planned = next(step for step in lake.planned() if step.table == SILVER)
        assert planned.action == "fail"
        assert f"transformLogic of amount: {what}" in planned.why
        assert f"orders.yaml:{line}  " in planned.why
    else:
        assert {step.action for step in lake.planned() if step.table == SILVER} == {"nothing"}
    lake.land("shop/orders/1.csv", FILE)
    failed = str(lake.run().failures[SILVER])
    assert f"transformLogic of amount: {what}" in failed
    assert f"orders.yaml:{line}\n" in failed
    assert near in failed
    planned = next(step for step in lake.planned() if step.table == SILVER)
    assert planned.why == failed.replace("\n", " ")


def _text(lake: Lake) -> str:
    return (lake.root / "src/silver/shop/orders.yaml").read_text(encoding="utf-8")


def test_a_column_that_new_files_bring_is_no_false_alarm(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", FILE)
    lake.good()
    lake.edit("silver/shop/orders.yaml", "1.0.0", "1.1.0")
    lake.edit(
        "silver/shop/orders.yaml",
        "    customProperties",
        "      - {name: tip, logicalType: integer, transformLogic: Tip}\n    customProperties",
    )
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated,Tip\n2,2024-01-02,20,1,3\n")
    assert [step.action for step in lake.planned() if step.table == SILVER] == ["rebuild"]
    lake.good()
    assert lake.rows("SELECT tip FROM silver.shop.orders ORDER BY order_id") == [(None,), (3,)]


def test_a_mart_is_bound_to_the_columns_that_its_sources_will_have(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", FILE)
    lake.good()
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    lake.edit("silver/shop/orders.yaml", "{name: amount,", "{name: price, transformLogic: amount,")
    planned = {step.table: step for step in lake.planned()}
    assert planned[SILVER].action == "rebuild"
    assert planned[GOLD].action == "fail"
    assert planned[GOLD].why.startswith("no column amount")
    run = lake.run()
    assert str(run.failures[GOLD]).startswith("no column amount")


def test_a_table_that_is_up_to_date_is_not_bound_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.shop().land("shop/orders/1.csv", FILE)
    lake.good()
    monkeypatch.setattr("src.gold.model.Model.bind", lambda self: pytest.fail("bound"))
    assert {step.action for step in lake.planned()} == {"nothing"}


def test_main_test_tells_everything_that_does_not_bind_without_a_lake(lake: Lake) -> None:
    lake.shop()
    lake.write("gold/shop/daily.sql", DAILY.replace("sum(amount)", "sum(amout)"))
    lake.edit(
        "silver/shop/orders.yaml",
        "required: true}\n      - {name: updated",
        "transformLogic: nofunction(1)}\n      - {name: updated",
    )
    lake.write("silver/store/orders.yaml", ORDERS.replace("shop", "store"))
    with pytest.raises(ContractErrors) as refused:
        lake.command("test")
    assert [error.what.split(":")[-1].split(",")[0].strip() for error in refused.value.errors] == [
        "no function nofunction",
        "no column amout",
    ]
    assert refused.value.exit_code == 3
    assert not (lake.data / "silver").exists()


def test_a_table_of_statements_binds_before_its_first_file(lake: Lake) -> None:
    lake.shop().edit("silver/shop/orders.yaml", "sequenceBy, value: [updated]", "replaces, value: [order_id]")
    [step] = [step for step in lake.planned() if step.table == GOLD]
    assert step.action != "fail"
    assert lake.command("test") == 1  # the mart has no README yet; everything binds


def test_an_empty_mart_folder_is_a_note(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    (lake.root / "src/gold/begun/tests").mkdir(parents=True)
    (lake.root / "src/gold/begun/.DS_Store").touch()
    lake.land("shop/orders/1.csv", FILE)
    lake.command("plan")
    assert "note: src/gold/begun is empty: no mart yet" in capsys.readouterr().out
    lake.good()
    lake.write("gold/begun/model.sql", "SELECT 1")
    with pytest.raises(ContractErrors, match=r"mart begun has no contract\.yaml"):
        lake.run()
    (lake.root / "src/gold/begun/model.sql").unlink()
