"""Marts on the page: the course of a measure as it adds up, charts without false marks, and what readers see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest
from conftest import Lake
from page_site import Site, opened

from src.contract import AGGREGATES, Measure, Table
from src.engine import DuckEngine
from src.facts.measures import Course, Series, read_course
from src.masking.masks import NONE
from src.page import markdown
from src.page.drawing import charts, measures
from src.project import open_project

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: shop
name: Shop <b>
version: 1.0.0
status: active
domain: shop
description: {purpose: "What was sold, <script>alert(1)</script>.", usage: Add it up., limitations: "`day` is local."}
team: {name: Shop, members: [{username: shop-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: daily
    description: Sales of a day and a kind.
    properties:
      - {name: day, logicalType: date, physicalType: date, primaryKey: true, primaryKeyPosition: 1}
      - {name: kind, logicalType: string, physicalType: varchar, primaryKey: true, primaryKeyPosition: 2}
      - {name: amount, logicalType: number, physicalType: double}
      - {name: rate, logicalType: number, physicalType: double}
      - {name: many, logicalType: integer, physicalType: bigint}
    customProperties:
      - {property: measure, value: {column: amount, aggregate: sum, by: kind}}
  - name: kinds
    description: Sales of a kind.
    properties:
      - {name: kind, logicalType: string, physicalType: varchar, primaryKey: true}
      - {name: amount, logicalType: number, physicalType: double}
    customProperties:
      - {property: measure, value: {column: amount, aggregate: sum, by: kind}}
"""
DAILY = """
SELECT day, 'kind ' || (order_id % 8) || if(order_id = 1, '<script>', '') AS kind, sum(amount)::DOUBLE AS amount,
    max(updated)::DOUBLE AS rate, min(order_id)::BIGINT AS many
FROM silver.shop.orders GROUP BY day, kind
"""
KINDS = "SELECT kind, sum(amount) AS amount FROM gold.shop.daily GROUP BY kind"
TODAY = date(2026, 3, 10)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop with eight kinds, a day without a sale, and one to come; its second load is held back."""
    lake = Lake(tmp_path_factory.mktemp("marts"))
    lake.shop()
    lake.write("gold/shop/contract.yaml", CONTRACT)
    lake.write("gold/shop/daily.sql", DAILY)
    lake.write("gold/shop/kinds.sql", KINDS)
    rows = [f"{at},2026-03-{day:02},{at}00,{10 * at}" for at in range(1, 9) for day in (1, 2, 4)]
    rows = [f"{nth}{row[row.index(',') :]}" for nth, row in enumerate(rows, 1)]
    lake.land("shop/orders/1.csv", "\n".join(["order_id,day,amount,updated", *rows, "99,2999-01-01,5,1"]))
    lake.good()
    made = opened(lake)
    yield made
    made.page.look.close()


def course(site: Site, measure: Measure | None = None, period: int | None = None, table: str = "daily") -> Course:
    """The course of a measure of the shop."""
    with open_project(site.lake.settings) as project:
        declared = project.declared(f"gold.shop.{table}")
        measured, snapshot = replace(declared, measure=measure or declared.measure), project.table(declared.id)
        assert snapshot
        found = read_course(project.engine, measured, snapshot, TODAY, period, NONE)
    assert found
    return found


def test_six_series_are_told_apart_the_others_are_one_and_a_day_without_rows_is_a_gap(site: Site) -> None:
    found = course(site)
    assert found.labels == ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
    assert len(found.series) == 7
    assert (found.series[6].name, found.names) == ("others", 9)
    assert [one.values[2] for one in found.series] == [None] * 7
    assert sum(value or 0 for value in found.by_step) == found.total == 10800


def test_a_week_that_is_not_over_is_a_figure_so_far(site: Site) -> None:
    with open_project(site.lake.settings) as project:
        declared = project.declared("gold.shop.daily")
        weekly = project.engine
        weekly.view(
            "weekly", "SELECT DATE '2026-03-02' + 7 * i::INT AS day, 'a' AS kind, 1 AS amount FROM range(2) t(i)"
        )
        found = [_of_view(weekly, declared, day) for day in (date(2026, 3, 15), date(2026, 3, 16))]
    assert [(one.step, one.going_on) for one in found] == [("week", True), ("week", False)]


def _of_view(engine: DuckEngine, declared: Table, today: date) -> Course:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "scan", lambda snapshot: "weekly")
        found = read_course(engine, declared, SimpleNamespace(columns={}), today, None, NONE)  # type: ignore[arg-type]
    assert found
    return found


def test_rows_dated_to_come_are_not_drawn(site: Site) -> None:
    assert course(site, period=0).labels[-1] == "2026-03-04"


def test_a_period_is_compared_with_as_many_days_before(site: Site) -> None:
    found = course(site, Measure("many", "max"), period=1)
    assert (found.labels, found.newest, found.before) == (("2026-03-04",), 24.0, None)
    found = course(site, Measure("amount", "sum"), period=2)
    assert (found.total, found.before) == (3600.0, 7200.0)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (Measure("amount", "sum"), 10800.0),
        (Measure("many", "min"), 1.0),
        (Measure("many", "max"), 24.0),
        (Measure("amount", "last"), 3600.0),
        (Measure("many", "avg"), 12.5),
    ],
)
def test_a_measure_adds_up_as_its_contract_says(site: Site, measure: Measure, expected: float) -> None:
    assert course(site, measure, period=0).total == expected


def test_every_way_to_add_up_has_its_words() -> None:
    assert set(AGGREGATES) == {"sum", "avg", "min", "max", "last"}


def test_an_average_is_weighed(site: Site) -> None:
    plain, weighed = (course(site, Measure("rate", "avg", weight=weight), period=0).total for weight in (None, "many"))
    assert (plain, round(weighed or 0, 2)) == (45.0, 57.6)


def test_without_a_date_the_greatest_come_first(site: Site) -> None:
    found = course(site, table="kinds")
    values = [value or 0.0 for value in found.series[0].values]
    assert (found.step, values) == ("", sorted(values, reverse=True))


# -- drawings


def drawn(*values: float | None, draw: object = charts.bars) -> str:
    labels = [f"2026-01-{at + 1:02}" for at in range(len(values))]
    return str(draw(labels, [Series("a <b>", tuple(values))], "A sentence.", 400.0))  # type: ignore[operator]


def test_bars_begin_at_0_and_each_says_what_it_is() -> None:
    text = drawn(10, 20, None, 1234.5)
    assert "<title>2026-01-02: a &lt;b&gt; 20</title>" in text
    assert "<title>2026-01-03: no rows</title>" in text
    assert "a &lt;b&gt; 1,234.50" in text
    assert 'class="zero"' in text
    assert "style=" not in text


def test_a_figure_that_dwarfs_the_others_is_cut_and_says_what_it_is() -> None:
    assert "↑ 5M" in drawn(1, 2, 3, 2, 1, 2, 3, 5_000_000)
    assert "↑" not in drawn(1, 2, 3, 2, 1, 2, 3, 6)


def test_a_lying_bar_that_is_cut_has_a_gap_and_ends_beyond_the_others() -> None:
    text = str(charts.rows(list("abcde"), [900.0, 30.0, 20.0, 10.0, -5.0], "A sentence.", 400.0))
    assert text.count('class="s-0"') == 6
    assert "<title>a: 900</title>" in text


def test_a_line_is_broken_where_there_is_no_figure() -> None:
    text = drawn(1, 2, None, 4, 5, draw=charts.lines)
    path = text[text.index('<path d="') :]
    assert path.count("M") == 2


def test_lines_that_run_close_together_have_an_axis_of_their_own_and_the_sentence_says_so(site: Site) -> None:
    found = Course(
        Measure("rate", "avg"), "day", ("2026-01-01", "2026-01-02"), (Series("rate", (97.0, 99.0)),), newest=99
    )
    with open_project(site.lake.settings) as project:
        table = project.declared("gold.shop.daily")
    assert "The axis begins at 97." in measures.sentence(table, found)


# -- the screens


def test_the_screen_of_a_mart_says_what_its_number_means_and_escapes_it(site: Site) -> None:
    text = site.get("/mart/shop").text
    assert "What was sold, &lt;script&gt;alert(1)&lt;/script&gt;." in text
    assert "<script>" not in text
    assert "amount</code> by day and kind" in text
    assert "kind 1&lt;script&gt;" in text
    assert '<a class="button second" href="?days=90" aria-current="true">90 days</a>' in text
    assert "<code>day</code> is local." in text


def test_each_table_has_a_screen_and_what_is_none_says_what_there_is(site: Site) -> None:
    assert "What the columns mean" in site.get("/mart/shop/kinds").text
    missing = site.get("/mart/shop/kin")
    assert missing.status == 400
    assert "its tables are daily, kinds" in missing.text
    assert "the marts are shop" in site.get("/mart/nothing").text
    assert 'href="/mart/shop"' in site.get("/marts").text


def test_the_screen_says_which_release_readers_see(site: Site) -> None:
    assert "Readers do not see the newest" not in site.get("/mart/shop").text
    site.lake.write("gold/shop/kinds.sql", KINDS.replace("sum(amount)", "sum(amount) + max(kind)::DOUBLE"))
    site.lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    site.lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n50,2026-03-05,1,1\n")
    assert site.lake.run().failures
    text = site.get("/mart/shop").text
    assert "Readers do not see the newest" in text
    assert "held back by gold.shop.kinds of the same mart" in text
    assert re.search(r"what <a href=\"/run/\w+-\w+\">[\d: -]+ UTC</a> built", text)
    assert "2026-03-05" not in text
    assert "held back by gold.shop.kinds" in site.post("/sql", sql="SELECT 1 FROM gold.shop.daily").text


# -- Markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A <b>", "<h2>A &lt;b&gt;</h2>"),
        ("a `x<y` and **b**", "<p>a <code>x&lt;y</code> and <strong>b</strong></p>"),
        ("- one\n- two\n  more", "<ul><li>one</li><li>two more</li></ul>"),
        ("[site](https://e.com)", '<p><a href="https://e.com" rel="noreferrer">site</a></p>'),
        ("[site](javascript:alert(1))", "<p>site)</p>"),
        (
            '[site](https://e.com/"><script>)',
            '<p><a href="https://e.com/&#34;&gt;&lt;script&gt;" rel="noreferrer">site</a></p>',
        ),
        ("```sql\nselect <1>\n\nfrom t\n```", "<pre><code>select &lt;1&gt;\n\nfrom t</code></pre>"),
        ("prices &lt; 1", "<p>prices &lt; 1</p>"),
        ("<!-- hidden -->shown", "<p>shown</p>"),
        ("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>"),
    ],
)
def test_markdown_is_a_few_tags_and_the_rest_is_text(text: str, expected: str) -> None:
    assert markdown.html(text) == expected


def test_a_table_of_markdown_has_its_cells() -> None:
    made = markdown.html("| a | b |\n| --- | --- |\n| 1 \\| 2 | <i> |")
    assert "<td>1 | 2</td><td>&lt;i&gt;</td>" in made
