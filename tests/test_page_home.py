"""Home says whether the lake is fine, what made it so, and what to do: the facts, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from conftest import Lake
from page_site import opened

from src.causes import Cause, Families
from src.facts import Facts, KnownCause, RunFacts, State, TableFacts
from src.monitors import Findings
from src.monitors.freshness import Freshness
from src.page import rendering
from src.page.drawing import timeline
from src.page.looking import Look
from src.page.screens import home
from src.problems import Problem

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)


def found(kind: str, subject: str, urgency: str, what: str = "is not there") -> Problem:
    return Problem(kind, subject, urgency, date(2026, 11, 29), what, "`make pipeline`")


def known(head: Problem, *follows: Problem, state: str | None = "open") -> KnownCause:
    cause = Cause(head, follows)
    incidents = tuple(problem.incident for problem in cause.findings) if state else ()
    return KnownCause(
        cause=cause,
        state=state,
        since=NOW if state else None,
        incidents=incidents,
        urgency=cause.urgency,
        followers=f"{len(follows)} findings that follow",
    )


def facts(*causes: KnownCause, tables: tuple[TableFacts, ...] = (), findings: Findings | None = None) -> Facts:
    return Facts(
        read_at=NOW,
        verdict="",
        healthy=all(one.urgency == "P4" for one in causes),
        has_run=True,
        findings=findings or Findings(),
        causes=causes,
        tables={table.id: table for table in tables},
        upstream={},
        domains=(),
        runs=(),
        recovered=(),
        families=Families({}),
        grades={},
        backup=None,
        upcoming=(),
        incidents=(),
    )


def shown(what: Facts, *, readonly: bool = False) -> str:
    common = {"facts": what, "path": "/", "menu": (), "form_token": "t0ken", "readonly": readonly, "message": ""}
    return rendering.rendered(rendering.environment(), "home.html", common | home.values(what))


def test_a_lake_without_a_cause_is_fine_and_says_of_how_many_tables() -> None:
    fine = TableFacts(id="silver.shop.orders", state=State.FINE)
    page = shown(facts(tables=(fine, replace(fine, id="silver.shop.rates", state=State.EMPTY))))
    assert "<h1>Fine</h1>" in page and "1 of 2 tables are fine" in page
    assert "What to do" not in page


def test_findings_come_down_to_causes_and_are_folded_below_them() -> None:
    failed = known(found("table", "silver.shop.orders", "P2", "failed: a <b>row</b>"), found("run", "pipeline", "P1"))
    page = shown(facts(failed, known(found("backup", "lake", "P2"))))
    assert "2 things to look at, the worst P1" in page
    assert "3 findings of the monitors come down to 2 causes" in page
    assert [name in page for name in ('id="cause-1"', 'id="cause-2"', 'id="cause-3"')] == [True, True, False]
    assert "<summary>1 findings that follow</summary>" in page
    assert "failed: a &lt;b&gt;row&lt;/b&gt;" in page and "<code>make pipeline</code>" in page


def test_a_cause_offers_what_can_still_be_answered() -> None:
    head = found("backup", "lake", "P2")
    for state, offered in (("open", 2), ("acked by ann", 1), (None, 0)):
        page = shown(facts(known(head, state=state)))
        assert page.count("<form") == offered
        assert page.count('name="form_token" value="t0ken"') == offered
    assert "<form" not in shown(facts(known(head)), readonly=True)


def test_a_day_that_was_as_it_should_be_is_confirmed_from_its_cause() -> None:
    href = 'href="/confirm?table=silver.shop.orders&amp;day=2026-11-29"'
    assert href in shown(facts(known(found("volume", "silver.shop.orders", "P3"))))
    assert href in shown(facts(known(found("unusual", "silver.shop.orders play", "P3"))))  # a series, of its table
    assert "/confirm" not in shown(facts(known(found("table", "silver.shop.orders", "P2"))))


def test_housekeeping_waits_below_and_makes_no_lake_ill() -> None:
    page = shown(facts(known(found("latency", "run", "P4"))))
    assert "<h1>Fine</h1>" in page and "1 that can wait" in page


def test_the_table_farthest_from_its_promise_comes_first() -> None:
    def row(table: str, age: float | None, limit: float, grade: str, *, critical: bool = False) -> Freshness:
        return Freshness(NOW, table, NOW, "day", NOW, age, 0.0, 1.0, limit, grade, critical)

    rows = (
        row("silver.shop.fine", 1.0, 26.0, "EXCELLENT"),
        row("silver.shop.late", 60.0, 26.0, "POOR"),
        row("silver.shop.bare", None, 26.0, "POOR"),
        row("silver.shop.rent", 30.0, 26.0, "POOR", critical=True),
    )
    order = [one.table for one in home.values(facts(findings=Findings(freshness=rows)))["freshness"]]
    assert order == ["silver.shop.rent", "silver.shop.bare", "silver.shop.late", "silver.shop.fine"]


def test_all_of_a_screen_is_of_the_same_look(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    site = opened(lake)
    looks: list[Facts] = []

    def look() -> Facts:
        looks.append(Look.facts(site.page.look))
        return looks[-1]

    monkeypatch.setattr(site.page.look, "facts", look)
    for address in ("/", "/feeds", "/plan", "/marts", "/mart/shop", "/lineage", "/sql", "/table/silver.shop.orders"):
        looks.clear()
        assert (site.get(address).status, len(looks)) == (200, 1), address


def test_a_run_that_took_longest_does_not_flatten_the_others() -> None:
    def run(number: int, seconds: float) -> RunFacts:
        started = NOW.replace(hour=number)
        return RunFacts(
            run_id=f"r{number}",
            started_at=started,
            ended_at=started,
            status="success",
            command="make pipeline",
            started_by="ann",
            kind="pipeline",
            seconds=seconds,
            records_read=10,
            records_written=10,
            quarantined=0,
            error="",
            seconds_by_layer={"bronze": seconds},
            failed=0,
            blocked=0,
        )

    drawing = str(timeline.drawn([run(1, 100.0), run(2, 2.0), run(3, 1.0)]))
    assert ">2.0 s</text>" in drawing  # the axis
    assert ">↑100.0 s</text>" in drawing and "100.0 s; 10 read" in drawing
    assert 'height="124.0" rx="0" class="layer-bronze"' in drawing and 'height="62.0"' in drawing
    assert ">5.0 s</text>" in str(timeline.drawn([run(1, 5.0), run(2, 2.0)]))  # no more than three times the next
