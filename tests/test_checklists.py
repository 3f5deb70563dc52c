"""Checklists: fine only where one could look; what is to do, with its command; the most urgent first."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Lake

from src.facts.checklists import CHECKLISTS, Answer, Checklist, read_checklist
from src.facts.checklists.steps import Look, answered
from src.project import open_project
from src.report.checklist import print_checklist

HEADER = "order_id,day,amount,updated\n"
DAY = timedelta(days=1)
AUDIT = '{type: sql, id: none, query: "SELECT count(*) FROM ${object} WHERE amount < 0", mustBe: 0}'
DATED = "    customProperties:\n      - {property: businessDate, value: day}\n"
EVERY = tuple(CHECKLISTS)


def read(lake: Lake, name: str, ahead: timedelta = timedelta(0), month: date | None = None) -> Checklist:
    with open_project(lake.settings) as project:
        return read_checklist(project, name, datetime.now(UTC) + ahead, month)


def answers(found: Checklist) -> dict[str, str]:
    return {step.title: str(step.answer) for step in found.steps}


def commands(found: Checklist, title: str) -> list[str]:
    return [todo.command for step in found.steps for todo in step.todos if step.title == title]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that ran over an order of yesterday."""
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.edit("silver/shop/orders.yaml", "    properties:\n", f"    quality: [{AUDIT}]\n    properties:\n")
    made.land("shop/orders/1.csv", f"{HEADER}1,{date.today() - DAY},10,1\n")
    assert made.command("run") == 0
    return made.root


def test_every_step_is_answered_in_order_and_a_good_day_has_nothing_to_do(shop: Lake) -> None:
    shop.command("backup")
    shop.command("health")
    for name in EVERY[:2]:
        found = read(shop, name)
        assert [step.title for step in found.steps] == [question.title for question in CHECKLISTS[name]]
        assert found.done, found.todos
        assert {step.answer for step in found.steps} <= {Answer.FINE, Answer.UNKNOWN}
    assert answers(read(shop, "afternoon"))["commit before the day ends"] == "cannot be told"  # no git here
    assert shop.command("checklist", "morning") == 0


def test_nothing_is_fine_of_a_lake_that_is_not_there(lake: Lake) -> None:
    lake.shop()
    of_the_machine = {"room on the disk", "predictions", "models trained", "claims", "sources for tomorrow"}
    of_the_machine |= {"files that no feed takes", "budgets"}
    for name in EVERY:
        found = read(lake, name)
        fine = {step.title for step in found.steps if step.answer is Answer.FINE}
        assert fine <= of_the_machine
    assert commands(read(lake, "morning"), "run of the night") == ["make pipeline"]


def test_a_bad_night_is_told_with_its_commands_and_the_most_urgent_first(
    shop: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.land("shop/orders/2.csv", f"{HEADER}2,{date.today() - DAY},-1,1\n3,{date.today() - DAY},x,1\n")
    assert shop.command("run", "--accept-rejects", "silver.shop.orders") != 0
    found = read(shop, "morning")
    seen = answers(found)
    for title in ("run of the night", "what is wrong", "what readers see", "failed and blocked tables"):
        assert seen[title] == "to do", title
    assert seen["incidents in time"] == "fine"  # nobody has to have answered yet
    [number] = [one["number"] for one in incidents(shop) if one["incident"] == "table silver.shop.orders"]
    assert commands(found, "what is wrong")[0] == f"make incident N={number}"
    assert commands(found, "what readers see") == ["make status"]
    assert [todo.urgency for todo in found.todos] == sorted(todo.urgency for todo in found.todos)
    assert len({(todo.what, todo.command) for todo in found.todos}) == len(found.todos)
    late = read(shop, "morning", timedelta(hours=5))
    assert answers(late)["incidents in time"] == "to do"
    capsys.readouterr()
    print_checklist(found)
    first = capsys.readouterr().out
    assert f"$ make incident N={number}\n" in first
    assert '$ .venv/bin/python main.py alerts ack "table silver.shop.orders" --all --reason "..."' in first
    assert first.index("$ make incident") < first.index("run of the night")
    assert shop.command("checklist", "morning") == 1


def incidents(lake: Lake) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(lake.typed("incident", "--json").stdout)
    return found


def test_what_somebody_has_answered_for_is_known_until_its_time_is_over(shop: Lake) -> None:
    shop.land("shop/orders/2.csv", f"{HEADER}2,{date.today() - DAY},-1,1\n")
    assert shop.command("run") != 0
    shop.command("alerts", "ack", "table silver.shop.orders", "--all", "--reason", "asked")
    found = read(shop, "morning")
    assert answers(found)["what is wrong"] == answers(found)["failed and blocked tables"] == "known"
    assert [todo.command for todo in found.todos] == ["make status", "make backup"]
    late = [todo.what for todo in read(shop, "morning", 2 * DAY).todos]
    assert any(what.startswith("table silver.shop.orders: ") for what in late)


def test_rows_that_were_rejected_are_to_be_looked_at_until_the_next_working_day_is_over(shop: Lake) -> None:
    shop.land("shop/orders/2.csv", f"{HEADER}2,{date.today() - DAY},5,1\n3,{date.today() - DAY},x,1\n")
    shop.command("run", "--accept-rejects", "silver.shop.orders")
    show = ".venv/bin/python main.py quarantine show --table silver.shop.orders --limit 5"
    assert commands(read(shop, "morning"), "newly rejected rows") == [show]
    assert answers(read(shop, "morning", 5 * DAY))["newly rejected rows"] == "fine"
    until = date.today() + 10 * DAY
    shop.command("quarantine", "waive", "--table", "silver.shop.orders", "--reason", "known", "--until", str(until))
    assert answers(read(shop, "morning"))["newly rejected rows"] == "fine"
    assert answers(read(shop, "afternoon"))["waivers that end"] == "fine"
    assert commands(read(shop, "afternoon", 9 * DAY), "waivers that end") == [show]
    assert answers(read(shop, "week", 4 * DAY))["waivers that end"] == "to do"


def test_time_alone_makes_runs_backups_and_drills_due(shop: Lake) -> None:
    assert commands(read(shop, "morning"), "backup") == ["make backup"]
    shop.command("backup")
    assert commands(read(shop, "week"), "restore drill") == ["make drill"]
    shop.command("drill")
    later = read(shop, "week", 10 * DAY)
    assert commands(later, "restore drill") == ["make drill"]
    assert commands(later, "backup") == ["make backup"]
    assert "make vacuum" in commands(later, "tidying up")
    assert commands(read(shop, "morning", 10 * DAY), "run of the night") == ["make pipeline"]
    assert commands(read(shop, "month"), "restore in half a year") == ["make restore TO=../restored"]


def test_contracts_that_are_not_committed_are_to_be_before_the_day_ends(shop: Lake) -> None:
    for words in (["init", "-q"], ["add", "src"], ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=shop.root, check=True)
    assert answers(read(shop, "afternoon"))["commit before the day ends"] == "fine"
    shop.edit("gold/shop/contract.yaml", "name: Shop\n", "name: Shops\n")
    [command] = commands(read(shop, "afternoon"), "commit before the day ends")
    assert command == "git add src/silver src/gold && git commit && git push"
    assert answers(read(shop, "week"))["contracts committed"] == "to do"


def test_what_no_feed_takes_and_what_a_contract_changed_is_told_in_the_afternoon(shop: Lake) -> None:
    shop.land("shop/strange.txt", "x")
    shop.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    shop.edit("gold/shop/contract.yaml", "status: active", "status: deprecated")
    found = read(shop, "afternoon")
    assert commands(found, "files that no feed takes") == ["make plan"]
    assert answers(found)["contracts and tables"] == "to do"


def test_a_table_that_cannot_be_read_leaves_nothing_fine_that_looks_at_it(shop: Lake) -> None:
    shop.command("health")
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    damage(shop, "silver/shop/orders")
    for name in EVERY:
        found = read(shop, name)
        blind = {question.title for question in CHECKLISTS[name] if question.of_findings}
        assert [step.title for step in found.steps if step.title in blind and step.answer is Answer.FINE] == []
        assert any(todo.command == "make check" and todo.urgency == "P1" for todo in found.todos)


READERS = {
    "ops/pipeline_runs": {"run of the night", "failed and blocked tables", "slow steps", "tidying up", "overdue feeds"},
    "ops/alerts": {"incidents in time", "incidents of the week", "incidents that come again"},
    "ops/backups": {"backup", "restore drill", "restore in half a year"},
    "ops/releases": {"what readers see", "contracts changed"},
    "ops/table_stats": {"growth", "disk full when"},
    "ops/quality_results": {"audits"},
    "quarantine/shop/orders": {"newly rejected rows"},
}


def test_records_that_cannot_be_read_leave_nothing_fine_that_reads_them(shop: Lake) -> None:
    shop.land("shop/orders/2.csv", f"{HEADER}2,{date.today() - DAY},5,1\n3,{date.today() - DAY},x,1\n")
    shop.command("run", "--accept-rejects", "silver.shop.orders")
    shop.command("backup")
    shop.command("health")
    for table, titles in READERS.items():
        whole = damage(shop, table)
        asked = {
            question.title: question for name in EVERY for question in CHECKLISTS[name] if question.title in titles
        }
        assert asked.keys() == titles
        with open_project(shop.settings) as project:
            look = Look(project, datetime.now(UTC), date.today().replace(day=1))
            steps = [answered(question, look) for question in asked.values()]
        assert {step.title for step in steps if step.answer is Answer.FINE} == set(), table
        for path, text in whole.items():
            path.write_text(text, encoding="utf-8")


def damage(lake: Lake, table: str) -> dict[Path, str]:
    """Cut every entry of a table's log short; returns them as they were."""
    whole = {path: path.read_text(encoding="utf-8") for path in (lake.data / table / "_delta_log").glob("*.json")}
    for path in whole:
        path.write_text("{", encoding="utf-8")
    return whole


def test_reads_and_budgets_are_told_in_the_week(shop: Lake) -> None:
    assert {answers(read(shop, "week"))[title] for title in ("reads", "slow queries")} == {"cannot be told"}
    assert shop.typed("query", "select * from silver.shop.orders").returncode == 0
    shop.environ["BUDGET_SHOP"] = "5"
    found = read(shop, "week")
    [reads] = [step for step in found.steps if step.title == "reads"]
    assert reads.found == "1 read of tables in 7 days, 0 failed"
    assert answers(found)["slow queries"] == "fine"
    [todo] = [todo for todo in found.todos if todo.what.startswith("budget prices")]
    assert todo.advice == "set COST_PER_CPU_HOUR and COST_PER_GB_MONTH in .env"
    assert answers(read(shop, "month"))["tables nobody reads"] == "cannot be told"


# -- a month and its end


@pytest.fixture
def month(lake: Lake) -> Lake:
    """A dated mart with a row on each day of the last 40 up to yesterday, released once."""
    lake.shop()
    lake.edit("gold/shop/contract.yaml", 'decimal(18,2)"}\n', 'decimal(18,2)"}\n' + DATED)
    lake.edit("silver/shop/orders.yaml", "    customProperties:\n", DATED)
    days = [date.today() - back * DAY for back in range(1, 41)]
    rows = "".join(f"{number},{day},10,1\n" for number, day in enumerate(days))
    lake.land("shop/orders/1.csv", HEADER + rows)
    lake.good()
    return lake


def last_month() -> date:
    return (date.today().replace(day=1) - DAY).replace(day=1)


def test_a_month_that_is_whole_and_closed_has_its_release(month: Lake) -> None:
    found = read(month, "month-end", month=last_month())
    seen = answers(found)
    assert found.month == last_month()
    assert [seen[t] for t in ("closed by", "rows after the close", "figures after the close")] == ["fine"] * 3
    assert commands(found, "backup of the close") == ["make backup"]
    month.command("backup")
    assert answers(read(month, "month-end", month=last_month()))["backup of the close"] == "fine"
    going_on = read(month, "month-end", month=date.today().replace(day=1))
    assert {going_on.steps[5].answer, going_on.steps[6].answer} == {Answer.UNKNOWN}


def test_a_day_without_rows_in_a_mart_is_a_hole_unless_it_is_confirmed(month: Lake) -> None:
    gone = date.today() - 12 * DAY
    month.edit("gold/shop/daily.sql", "GROUP BY", f"WHERE day <> DATE '{gone}' GROUP BY")
    month.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    month.good()
    found = read(month, "month-end", month=gone.replace(day=1))
    [step] = [step for step in found.steps if step.title == "every day is whole"]
    assert [todo.what for todo in step.todos] == [f"gold.shop.daily has no rows on {gone}"]
    month.command("confirm", "--table", "silver.shop.orders", "--day", str(gone), "--reason", "closed")
    found = read(month, "month-end", month=gone.replace(day=1))
    assert commands(found, "every day is whole") == []


def test_rows_and_figures_that_came_after_the_close_are_told(month: Lake) -> None:
    day = date.today().replace(day=1) - DAY
    month.land("shop/orders/2.csv", f"{HEADER}999,{day},7,1\n")
    month.good()
    found = read(month, "month-end", month=last_month())
    assert len(commands(found, "rows after the close")) == len(commands(found, "figures after the close")) == 1
    [step] = [step for step in found.steps if step.title == "rows after the close"]
    assert step.found == "1 rows in silver.shop.orders"


def test_growth_is_told_against_months_that_were_measured(shop: Lake) -> None:
    assert answers(read(shop, "month"))["growth"] == "cannot be told"
    shop.command("health")
    [step] = [step for step in read(shop, "month", month=date.today()).steps if step.title == "growth"]
    assert "month before not recorded" in step.found and step.answer is Answer.UNKNOWN


# -- the command


def test_the_checklist_is_plain_data_and_its_code_says_whether_something_is_to_do(shop: Lake) -> None:
    ran = shop.typed("checklist", "morning", "--json")
    found = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert [step["answer"] for step in found["steps"] if step["title"] == "backup"] == ["to do"]
    assert shop.typed("checklist", "night").returncode == 2
    assert shop.typed("checklist", "month", "--month", "2026").returncode == 2


def test_a_long_list_is_cut_and_says_so(shop: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(shop, "week", 10 * DAY)
    todos = tuple(todo for _ in range(9) for todo in found.todos[:1])
    many = Checklist(found.name, found.read_at, None, found.steps, todos)
    print_checklist(many)
    assert "and 1 more: `.venv/bin/python main.py checklist week --all`" in capsys.readouterr().out
    print_checklist(many, every=True)
    assert capsys.readouterr().out.count("    $ ") >= 9
