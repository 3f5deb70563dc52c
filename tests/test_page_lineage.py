"""The screen of the lineage: what it draws of a lake small or large, and what of it leads where."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from src.facts import Facts, State, TableFacts
from src.page import lines
from src.page.drawing import lineage
from src.page.drawing.lineage import Box

SHOP = {
    "bronze.shop.orders": (),
    "silver.shop.orders": ("bronze.shop.orders",),
    "gold.shop.daily": ("silver.shop.orders",),
    "gold.other.summary": ("gold.shop.daily",),
}


def facts(upstream: Mapping[str, tuple[str, ...]], **states: State) -> Facts:
    """Facts of tables that have 7 rows each; `states`: of those that are not fine, by the end of their ids."""
    tables = {
        name: TableFacts(id=name, state=states.get("_".join(name.split(".")[1:]), State.FINE), rows=7)
        for name in upstream
    }
    domains = tuple(SimpleNamespace(name=name) for name in sorted({table.domain for table in tables.values()}))
    return cast(Facts, SimpleNamespace(tables=tables, upstream=upstream, domains=domains))


def large(tables: int) -> dict[str, tuple[str, ...]]:
    """The lineage of domains of ten tables each: four feeds, four of silver, a mart of two."""
    found: dict[str, tuple[str, ...]] = {}
    for at in range(tables // 10):
        for part in range(4):
            found[f"bronze.d{at}.t{part}"] = ()
            found[f"silver.d{at}.t{part}"] = (f"bronze.d{at}.t{part}",)
        found[f"gold.d{at}.m"] = (f"silver.d{at}.t0", f"silver.d{max(at - 1, 0)}.t1")
        found[f"gold.d{at}.n"] = (f"gold.d{at}.m",)
    return found


def link(name: str) -> str:
    return f"/x/{name}"


def boxes(drawing: str) -> dict[str, tuple[float, float]]:
    """Where the boxes of a drawing lie, by their links."""
    found = re.findall(r'<a href="([^"]*)"><title>.*?<rect x="([\d.]+)" y="([\d.]+)"', drawing)
    return {name: (float(x), float(y)) for name, x, y in found}


def test_tables_stand_from_left_to_right_by_layer_and_by_what_they_read_of_gold() -> None:
    at = boxes(lines.of_tables(facts(SHOP), SHOP, link).drawing)
    lefts = [at[link(name)][0] for name in SHOP]
    assert lefts == sorted(set(lefts))


def test_a_state_is_a_sign_and_a_class_and_colours_what_follows_from_a_fault() -> None:
    shown = lines.of_tables(facts(SHOP, shop_orders=State.FAILED, shop_daily=State.BLOCKED), SHOP, link)
    assert shown.states == {State.FAILED: 2, State.BLOCKED: 1, State.FINE: 1}
    assert shown.drawing.count('class="edge bad"') == 3
    assert 'class="node blocked of-gold"' in shown.drawing
    assert ">‖</text>" in shown.drawing


def test_the_line_of_a_table_has_what_it_is_built_from_and_what_is_built_from_it() -> None:
    known = facts(large(40))
    assert lines.around(known, "silver.d1.t1", None) == [
        "bronze.d1.t1", "silver.d1.t1", "gold.d2.m", "gold.d2.n",
    ]  # fmt: skip
    assert lines.around(known, "silver.d1.t1") == ["bronze.d1.t1", "silver.d1.t1", "gold.d2.m"]


def test_a_large_lake_is_folded_by_domain_and_layer_and_a_domain_opens() -> None:
    known = facts(large(600), d7_t2=State.FAILED)
    started = time.perf_counter()
    shown = lines.folded(known, link)
    drawing = str(shown.drawing)
    assert len(re.findall('class="node ', drawing)) == 180  # 60 domains of three layers
    assert "d7, silver: 1 failed, 3 fine" in drawing
    assert 'href="/x/d7"' in drawing
    opened = lines.of_domain(known, "d7")
    assert len(opened) == 12 and "silver.d6.t1" in opened and "gold.d8.m" in opened
    lines.of_tables(known, opened, link)
    assert time.perf_counter() - started < 2


def test_no_two_boxes_lie_on_each_other_and_no_label_is_wider_than_its_box() -> None:
    upstream = {name.replace(".t", ".a_table_with_quite_a_long_name_"): () for name in large(100)}
    drawing = str(lines.of_tables(facts(upstream), upstream, link).drawing)
    at = sorted(boxes(drawing).values())
    assert len(set(at)) == len(at) == 100
    assert all(x2 > x1 or y2 - y1 >= 22 for (x1, y1), (x2, y2) in pairwise(at))
    widest = max(map(lineage.text_width, re.findall(r'class="" text-anchor="start">([^<]*)<', drawing)))
    assert widest <= 276 - 40 - 40


def test_the_sixty_tables_of_a_company_fit_into_a_window() -> None:
    height = re.search(r'viewBox="0 0 (\d+) (\d+)"', lines.of_tables(facts(large(60)), large(60), link).drawing)
    assert height is not None and int(height[1]) <= 1384 and int(height[2]) <= 900


@pytest.mark.parametrize(("text", "shown"), [("short", "short"), ("m" * 40, "mmmmmmm…"), ("", "")])
def test_a_long_name_is_cut(text: str, shown: str) -> None:
    assert lineage.cut(text, 100) == shown


def test_no_name_becomes_a_tag() -> None:
    box = Box("a", "<b>", 0, "<i>", "fine", title="<script>", link='"><script>')
    drawing = str(lineage.drawn([box], (), ["bronze"], "<u>"))
    assert not re.search("<(b|i|u|script)>", drawing)


def test_a_circle_of_foreign_keys_is_drawn_all_the_same() -> None:
    circle: Any = {"silver.s.a": ("silver.s.b",), "silver.s.b": ("silver.s.a",)}
    assert str(lines.of_tables(facts(circle), circle, link).drawing).count('class="edge"') == 2
    assert lines.around(facts(circle), "silver.s.a", None) == ["silver.s.a", "silver.s.b"]


def test_what_is_no_table_of_the_lineage_is_not_drawn() -> None:
    scored: Any = {"silver.s.a": (), "gold.s.risk": ("silver.s.a", "models.s.late")}
    assert lines.around(facts(scored), "gold.s.risk", None) == ["silver.s.a", "gold.s.risk"]


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (7167, "7,167"), (91_322, "91.32k"), (1_000_000, "1M")])
def test_a_number_on_a_box_is_short(value: float, shown: str) -> None:
    assert lines.short_number(value) == shown


def test_a_curve_over_several_columns_touches_no_box_on_its_way() -> None:
    chain = ("bronze.s.a", "silver.s.a", "gold.s.a", "gold.s.b")
    upstream = dict.fromkeys(chain, ()) | {"gold.s.a": ("silver.s.a",), "gold.s.b": ("gold.s.a", "bronze.s.a")}
    known = facts(upstream)
    drawing = str(lines.of_tables(known, upstream, link).drawing)
    ((x, lane),) = re.findall(r"([\d.]+),([\d.]+) H", drawing)
    tops = [y for left, y in boxes(drawing).values() if left >= float(x)]
    assert tops and not any(y <= float(lane) <= y + 22 for y in tops)
