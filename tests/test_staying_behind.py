"""A table is released when it and everything it was built from are right; what stays behind holds no source back."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from conftest import MART, ORDERS, Lake
from hypothesis import given, settings
from hypothesis import strategies as st

import main
from src import catalog
from src import lake as delta
from src.checks.outcome import Outcome
from src.errors import DataError
from src.maintenance import backup, restore, rollback, vacuum
from src.project import Selection, open_engine, open_project
from src.remote import Remote
from src.report import pages, sections, status, summary
from src.run import releases, runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.releases import Cause, OldSource, Release
from src.run.runs import Run, Window

# -- the law as a table of cases

UPSTREAM = {
    "bronze.a.f": (),
    "bronze.b.f": (),
    "silver.a.s": ("bronze.a.f",),
    "silver.b.s": ("bronze.b.f", "silver.a.s"),  # by a foreign key
    "gold.m.one": ("silver.a.s",),
    "gold.m.two": ("silver.b.s",),
    "gold.n.both": ("silver.a.s", "gold.m.one"),
}
EVERY = tuple(UPSTREAM)
FAILS, BLOCKED = Cause.FAILED, Cause.BLOCKED

# what happened; the tables with a version that readers do not see; those that are wrong; who stays behind, why, by whom
CASES: dict[str, tuple[Collection[str], Mapping[str, Cause], dict[str, tuple[Cause, tuple[str, ...]]]]] = {
    "all went well": (EVERY, {}, {}),
    "nothing moved": ((), {}, {}),
    "a mart's table fails: its mart and what reads it stay, its sources go": (
        ("bronze.a.f", "silver.a.s", "silver.b.s", "gold.m.one", "gold.n.both"),
        {"gold.m.two": FAILS},
        {
            "gold.m.two": (FAILS, ()),
            "gold.m.one": (Cause.MART, ("gold.m.two",)),
            "gold.n.both": (Cause.UPSTREAM, ("gold.m.one",)),
        },
    ),
    "a silver table fails: what reads it is blocked, the other source of the blocked goes": (
        ("bronze.a.f", "bronze.b.f", "silver.a.s", "gold.m.one", "gold.n.both"),
        {"silver.b.s": FAILS, "gold.m.two": BLOCKED},
        {
            "silver.b.s": (FAILS, ()),
            "gold.m.two": (BLOCKED, ("silver.b.s",)),
            "gold.m.one": (Cause.MART, ("gold.m.two",)),
            "gold.n.both": (Cause.UPSTREAM, ("gold.m.one",)),
        },
    ),
    "the mart that reads another stays: the other goes": (
        EVERY,
        {"gold.n.both": FAILS},
        {"gold.n.both": (FAILS, ())},
    ),
    "a foreign key names a table that is held back: its audits looked there": (
        ("silver.a.s", "silver.b.s"),
        {"silver.a.s": Cause.PENDING},
        {"silver.a.s": (Cause.PENDING, ()), "silver.b.s": (Cause.UPSTREAM, ("silver.a.s",))},
    ),
    "built from the last good version of a table that fails since: readers see that version": (
        ("gold.m.one", "gold.n.both"),
        {"silver.a.s": FAILS},
        {"silver.a.s": (FAILS, ())},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_stays_behind_is_what_the_law_says(case: str) -> None:
    moved, wrong, expected = CASES[case]
    assert releases.stay_behind(UPSTREAM, moved, wrong) == expected


SCORED = {**UPSTREAM, "gold.m.risk": ("gold.m.one", "models.m.late"), "gold.m.worst": ("gold.m.risk",)}


def test_a_table_that_a_model_scores_holds_back_what_reads_it_and_nothing_else_of_its_mart() -> None:
    held = releases.stay_behind(SCORED, SCORED, {"gold.m.risk": FAILS})
    assert held["gold.m.risk"] == (FAILS, ())
    assert held["gold.m.worst"] == (Cause.UPSTREAM, ("gold.m.risk",))
    assert releases.stay_behind(SCORED, [*UPSTREAM, "gold.m.risk"], {"gold.m.risk": FAILS}) == {
        "gold.m.risk": (FAILS, ())
    }


def test_a_table_that_a_model_scores_stays_where_what_it_scores_stays() -> None:
    held = releases.stay_behind(SCORED, SCORED, {"gold.m.two": FAILS})
    assert held["gold.m.risk"] == (Cause.UPSTREAM, ("gold.m.one",))


def test_foreign_keys_in_a_circle_are_released_together_or_not_at_all() -> None:
    circle = {"bronze.a.f": (), "silver.a.x": ("bronze.a.f", "silver.a.y"), "silver.a.y": ("silver.a.x",)}
    assert releases.stay_behind(circle, circle, {}) == {}
    held = releases.stay_behind(circle, circle, {"bronze.a.f": Cause.FAILED})
    assert set(held) == set(circle)


# -- the law on any tables, after any runs, told by what each version was built from


@dataclass
class Told:
    """Tables that only count: of each version which versions of its upstream it read, and whether it is right."""

    upstream: dict[str, tuple[str, ...]]
    soft: dict[str, tuple[str, ...]] = field(default_factory=dict)
    current: dict[str, int] = field(default_factory=dict)
    read: dict[tuple[str, int], dict[str, int | None]] = field(default_factory=dict)
    right: set[tuple[str, int]] = field(default_factory=set)
    ill: set[str] = field(default_factory=set)  # whose last step in a run that ended was not a good one
    seen: set[tuple[str, int]] = field(default_factory=set)  # every version that was ever released
    old: dict[tuple[str, int], set[str]] = field(default_factory=dict)  # of each version which sources are old in it
    release: Release = field(default_factory=Release)

    def run(self, number: int, chosen: Collection[str], fails: Mapping[str, str], news: Collection[str]) -> Run:
        """Do the steps of a run in order; `fails`: before or after the commit; `news`: feeds that files landed for."""
        day = date(2024, 1, 1)
        run = Run(f"run-{number}", Window(day, day), runs.now, "test", RunKind.PIPELINE)
        for name in self.upstream:
            if name in chosen:
                work = partial(self._build, run, name, fails.get(name), name in news)
                run.step(name, work, needs=[o for o in self.upstream[name] if o not in self.soft.get(name, ())])
        return run

    def judge(self, run: Run) -> Release:
        needs = releases.loosened(self.upstream, self.soft, self.release.versions, self._read)
        return releases.judge(self.release, self.current, run, self.upstream, needs)

    def _read(self, name: str, source: str) -> int | None:
        at = self.current.get(name)
        return None if at is None else -1 if (found := self.read[name, at][source]) is None else found

    def _build(self, run: Run, name: str, fails: str | None, news: bool) -> Outcome:
        if fails == "before":
            raise DataError("no good")
        held = self.judge(run).behind if self.soft.get(name) else {}
        last_good = [o for o in self.soft.get(name, ()) if o in held and held[o].cause]
        now = {o: self.current.get(o) for o in self.upstream[name]}
        now |= {o: self.release.versions.get(o) for o in last_good}
        at = self.current.get(name)
        if news or at is None or self.read[name, at] != now:
            self.current[name] = (at or 0) + 1
            self.read[name, self.current[name]] = now
        if fails == "after":
            raise DataError("no good")
        run.old_sources[name] = tuple(OldSource(o, now[o], None, "today", Cause.FAILED) for o in last_good)
        through = (self.old.get((o, version), set()) for o, version in now.items() if version is not None)
        self.old[name, self.current[name]] = set(last_good).union(*through)
        return Outcome()

    def end(self, run: Run) -> None:
        """Judge by what was recorded of the run."""
        for step in run.steps:
            name = step.table_id
            if step.status == "success":
                self.ill.discard(name)
                self.right.add((name, self.current[name]))
            else:
                self.ill.add(name)

    def lawful(self) -> dict[str, int]:
        """The versions that readers get: the largest set of new ones that are right and built from what they see."""
        before = self.release.versions
        moved = [name for name, at in self.current.items() if before.get(name) != at]
        good: set[str] = set()
        for size in range(1, len(moved) + 1):
            for some in itertools.combinations(moved, size):
                if not good.issuperset(some) and all(self._goes(name, some, moved) for name in some):
                    good |= set(some)
        return {**before, **{name: self.current[name] for name in good}}

    def _goes(self, name: str, some: Collection[str], moved: Collection[str]) -> bool:
        at = self.current[name]
        built_from = self.read[name, at].items()
        mart = [other for other in self.upstream if other.startswith("gold.") and other[:7] == name[:7]]
        return (
            (name, at) in self.right
            and name not in self.ill
            and all(
                version is None or (other, version) in self.seen or (other in some and self.current[other] == version)
                for other, version in built_from
            )
            and all(other not in self.ill and (other not in moved or other in some) for other in mart)
        )


@st.composite
def tables(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Up to nine tables: feeds, silver tables, two marts that may read each other."""
    names = ["bronze.a.f", "bronze.b.f"][: draw(st.integers(1, 2))]
    upstream: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for count in range(draw(st.integers(1, 3))):
        above = draw(st.sets(st.sampled_from(sorted(upstream)), min_size=1, max_size=2))
        upstream[f"silver.a.s{count}"] = tuple(sorted(above))
    for count in range(draw(st.integers(1, 4))):
        readable = [name for name in sorted(upstream) if not name.startswith("bronze.")]
        above = draw(st.sets(st.sampled_from(readable), min_size=1, max_size=3))
        upstream[f"gold.{draw(st.sampled_from('mn'))}.t{count}"] = tuple(sorted(above))
    return upstream


def below(upstream: Mapping[str, Collection[str]], first: Collection[str]) -> set[str]:
    found = set(first)
    for name, above in upstream.items():
        if found & set(above):
            found.add(name)
    return found


@settings(max_examples=150)
@given(tables(), st.data())
def test_after_any_runs_readers_see_exactly_what_is_right_and_built_from_what_they_see(
    upstream: dict[str, tuple[str, ...]], data: st.DataObject
) -> None:
    told = Told(upstream)
    some = st.sets(st.sampled_from(sorted(upstream)))
    for number in range(data.draw(st.integers(1, 5))):
        everything = data.draw(st.booleans())
        chosen = set(upstream) if everything else below(upstream, data.draw(some))
        fails = data.draw(st.dictionaries(st.sampled_from(sorted(upstream)), st.sampled_from(["before", "after"])))
        run = told.run(number, chosen, fails if data.draw(st.booleans()) else {}, data.draw(some))
        told.end(run)
        expected = told.lawful()
        told.release = told.judge(run)
        assert told.release.versions == expected
        told.seen |= set(expected.items())
        held = told.release.behind
        assert {name for name, at in told.current.items() if expected.get(name) != at} <= held.keys()
        for stays in held.values():
            assert all(held[name].cause in (Cause.FAILED, Cause.PENDING) for name in stays.held_by)
    run = told.run(99, upstream, {}, upstream)
    told.release = told.judge(run)
    assert told.release == Release(told.current, dict.fromkeys(told.current, "run-99"), {})


@settings(max_examples=100)
@given(tables(), st.data())
def test_a_run_that_dies_adds_nothing_that_readers_see(
    upstream: dict[str, tuple[str, ...]], data: st.DataObject
) -> None:
    told = Told(upstream)
    some = st.sets(st.sampled_from(sorted(upstream)))
    for number in range(data.draw(st.integers(2, 6))):
        chosen = below(upstream, data.draw(some))
        fails = dict.fromkeys(data.draw(some), "before")
        run = told.run(number, chosen, fails, data.draw(some))
        if data.draw(st.booleans()):
            continue  # killed: nothing was recorded
        told.end(run)
        expected = told.lawful()
        told.release = told.judge(run)
        assert told.release.versions.items() <= {**expected, **told.release.versions}.items()
        assert all(expected.get(name) == at or (name, at) in told.seen for name, at in told.release.versions.items())
        told.seen |= set(told.release.versions.items())


# -- the law on a lake on disk

HEADER = "order_id,day,amount,updated\n"
SHOP, STOCK, DAILY, LARGEST, TOGETHER = (
    "silver.shop.orders",
    "silver.stock.items",
    "gold.shop.daily",
    "gold.shop.largest",
    "gold.company.daily",
)
SUMS = "SELECT {0}.day, count(*) AS orders, sum({0}.amount)::DECIMAL(18,2) AS amount FROM {0} {1} GROUP BY 1"


def company(lake: Lake) -> Lake:
    """Two domains with a mart each, that of the shop of two tables, and a mart of the company that joins them."""
    lake.shop()
    lake.write("silver/stock/items.yaml", ORDERS.replace("shop", "stock").replace("orders", "items"))
    audited(lake, "silver/stock/items.yaml", "amount < 0")
    for mart, sql in (
        ("stock", SUMS.format(STOCK, "")),
        ("company", SUMS.format(STOCK, f"JOIN {SHOP} USING (day) JOIN {DAILY} USING (day)")),
    ):
        lake.write(f"gold/{mart}/contract.yaml", MART.replace("id: shop", f"id: {mart}"))
        lake.write(f"gold/{mart}/daily.sql", sql)
    lake.add_largest(SUMS.format(SHOP, "").replace("sum(", "max("))
    audited(lake, "gold/shop/contract.yaml", "amount > 100")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.land("stock/items/1.csv", HEADER + "1,2024-01-01,7,1\n")
    return lake


def audited(lake: Lake, contract: str, wrong: str) -> None:
    """Let the first table of a contract fail where it has a row like that."""
    rule = f'{{type: sql, id: none, query: "SELECT count(*) FROM ${{object}} WHERE {wrong}", mustBe: 0}}'
    path = lake.root / "src" / contract
    path.write_text(path.read_text().replace("    properties:\n", f"    quality: [{rule}]\n    properties:\n", 1))


def behind(lake: Lake) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    return {name: (stays.cause, stays.held_by) for name, stays in releases.behind(lake.data).items()}


def amount(lake: Lake, table: str) -> int:
    """The sum of a table's amounts as readers find it."""
    with open_engine(lake.settings) as engine:
        catalog.publish(engine, {table: catalog.tables(lake.data)[table]}, releases.newest(lake.data))
        return int(engine.values(f"SELECT sum(amount) FROM {table}")[0])


def test_a_failed_audit_in_one_domain_holds_no_other_domain(lake: Lake) -> None:
    company(lake)
    first = lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,5,1\n")
    lake.land("stock/items/2.csv", HEADER + "2,2024-01-01,-1,1\n")
    second = lake.run()
    assert set(second.failures) == {STOCK}
    assert [amount(lake, name) for name in (SHOP, DAILY, STOCK, TOGETHER)] == [15, 15, 7, 7]
    assert behind(lake) == {
        STOCK: ("failed", (STOCK,)),
        "gold.stock.daily": ("blocked", (STOCK,)),
        TOGETHER: ("blocked", (STOCK,)),
    }
    stands = {standing.table: standing for standing in releases.standings(lake.data)}
    assert (stands[DAILY].as_of, stands[SHOP].as_of) == (second.run_id, second.run_id)
    assert (stands[TOGETHER].as_of, stands[STOCK].as_of) == (first.run_id, first.run_id)
    assert releases.describe(stands[TOGETHER]) == f"{TOGETHER} as of {first.run_id}: blocked by {STOCK}"
    assert lake.rows(
        f"SELECT DISTINCT \"table\" FROM ops.releases WHERE as_of = '{first.run_id}' AND run_id <> as_of ORDER BY 1"
    ) == [(name,) for name in sorted((STOCK, "gold.stock.daily", TOGETHER, "quarantine.stock.items"))]
    lake.land("stock/items/3.csv", HEADER + "2,2024-01-01,1,2\n")
    lake.good()
    assert [amount(lake, name) for name in (STOCK, TOGETHER)] == [8, 16]
    assert behind(lake) == {}


def test_what_was_right_and_held_back_is_released_by_a_run_that_does_not_touch_it(lake: Lake) -> None:
    company(lake)
    first = lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,500,1\n")
    second = lake.run()
    assert set(second.failures) == {LARGEST}
    assert [amount(lake, name) for name in (SHOP, DAILY, LARGEST, TOGETHER)] == [510, 10, 10, 7]
    assert behind(lake) == {
        LARGEST: ("failed", (LARGEST,)),
        DAILY: ("mart", (LARGEST,)),
        TOGETHER: ("upstream", (LARGEST,)),
    }
    line = f"{DAILY} as of {first.run_id}: what {second.run_id} built is held back by {LARGEST} of the same mart"
    assert releases.describe(releases.behind(lake.data)[DAILY]) == line
    lake.land("stock/items/2.csv", HEADER + "1,2024-01-02,7,1\n")
    assert set(lake.run("stock").failures) == set()
    assert behind(lake)[DAILY] == ("mart", (LARGEST,))
    lake.edit("gold/shop/contract.yaml", "amount > 100", "amount > 1000")
    with open_project(lake.settings) as project, recorded_run(project, RunKind.REBUILD, "rebuild") as this:
        main.carry(project, this, Selection((), (), (project.declared(LARGEST),)))
    assert [amount(lake, name) for name in (DAILY, LARGEST)] == [510, 500]
    assert behind(lake) == {}
    as_of = {standing.table: standing.as_of for standing in releases.standings(lake.data)}
    assert (as_of[DAILY], as_of[LARGEST]) == (second.run_id, this.run_id)


def test_only_standings_that_change_are_recorded_and_make_no_release(lake: Lake) -> None:
    company(lake)
    lake.good()
    lake.land("stock/items/2.csv", HEADER + "2,2024-01-01,-1,1\n")
    lake.run()
    count = lake.rows("SELECT count(DISTINCT run_id) FROM ops.releases")
    lake.edit("gold/company/daily.sql", "sum(", "max(")
    lake.edit("gold/company/contract.yaml", "version: 1.0.0", "version: 2.0.0")
    found = delta.open_table(lake.data / "ops/releases")
    lake.run()
    again = delta.open_table(lake.data / "ops/releases")
    assert found and again and found.version == again.version
    assert lake.rows("SELECT count(DISTINCT run_id) FROM ops.releases") == count


@pytest.mark.long
def test_a_mart_that_stays_behind_outlives_vacuum_backup_restore_and_rollback(lake: Lake, tmp_path: Path) -> None:
    company(lake)
    first = lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,500,2\n")
    lake.run()
    released, seen = releases.newest(lake.data), [amount(lake, name) for name in (SHOP, DAILY, LARGEST, TOGETHER)]
    assert seen == [500, 10, 10, 7]
    with open_project(lake.settings) as project, recorded_run(project, RunKind.VACUUM, "vacuum"):
        removed = [step.table for step, _ in vacuum.execute(vacuum.plan(lake.data, 0, time.time() + 3600)) if step.gone]
    assert SHOP in removed
    assert releases.newest(lake.data) == released
    place = Remote(str(lake.root / "backups"))
    with open_engine(lake.settings) as engine:
        backup.run(engine, lake.settings, place, runs.now)
    other = Lake(tmp_path / "other")
    shutil.copytree(lake.root / "src", other.root / "src")
    with open_engine(other.settings) as engine:
        restore.execute(engine, place, restore.plan(place, other.data, None), other.data, runs.now)
    for each in (lake, other):
        assert [amount(each, name) for name in (SHOP, DAILY, LARGEST, TOGETHER)] == seen
        assert each.findings() == []
        assert behind(each)[LARGEST] == ("failed", (LARGEST,))
        each.edit("gold/shop/contract.yaml", "amount > 100", "amount > 1000")
        each.good()
        assert [amount(each, name) for name in (SHOP, DAILY, LARGEST)] == [500, 500, 500]
        assert behind(each) == {}
    assert releases.standings(other.data)[0].as_of != first.run_id


def test_after_a_rollback_each_table_says_of_which_run_its_data_are(lake: Lake) -> None:
    company(lake)
    first = lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,500,2\n")
    second = lake.run()
    lake.edit("gold/shop/contract.yaml", "amount > 100", "amount > 1000")
    lake.good()
    with open_project(lake.settings) as project:
        versions = releases.named(project.engine, lake.data, second.run_id)
        with recorded_run(project, RunKind.ROLLBACK, "rollback") as this:
            rollback.execute(project, rollback.plan(project, versions), versions, this)
    as_of = {standing.table: standing.as_of for standing in releases.standings(lake.data)}
    assert (as_of[DAILY], as_of[LARGEST], as_of[TOGETHER]) == (first.run_id, first.run_id, first.run_id)
    assert as_of[SHOP] != first.run_id
    assert [amount(lake, name) for name in (SHOP, DAILY, LARGEST)] == [500, 10, 10]
    lake.good()
    assert [amount(lake, name) for name in (SHOP, DAILY, LARGEST)] == [500, 500, 500]


def test_a_lake_of_before_there_were_standings_goes_on(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    company(lake)
    monkeypatch.setattr(releases, "_info", lambda release: {"release": json.dumps(dict(release.versions))})
    first = lake.good()
    monkeypatch.undo()
    lake.land("stock/items/2.csv", HEADER + "2,2024-01-01,-1,1\n")
    lake.run()
    assert releases.behind(lake.data)[TOGETHER].as_of == first.run_id


def test_every_screen_says_as_of_which_run_a_table_is_that_stays_behind(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    company(lake)
    first = lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,500,1\n")
    second = lake.run()
    line = f"{DAILY} as of {first.run_id}: what {second.run_id} built is held back by {LARGEST} of the same mart"
    screens = {
        ("status", "--all"): f"behind: readers see {line}",
        ("plan",): f"readers see {line}",
        ("inspect", "--table", DAILY): f"readers see {line}",
        ("query", f"SELECT * FROM {DAILY}"): f"note: {line}",
    }
    for argv, said in screens.items():
        assert main.main([*argv, "--project", str(lake.root)]) == 0
        shown = " ".join("".join(capsys.readouterr()).split())
        assert said in shown, argv
        assert (TOGETHER in shown) == (argv[0] in ("status", "plan"))
    main.main(["query", f"SELECT * FROM {DAILY}", "--newest", "--project", str(lake.root)])
    assert "as of" not in "".join(capsys.readouterr())
    with open_project(lake.settings) as project:
        found = summary.read_summary(project, runs.now())
        assert [standing.table for standing in found.behind] == [TOGETHER, DAILY, LARGEST]
        assert line in pages.markdown(sections.page(found)).replace("\\", "")
        assert [standing.as_of for standing in status.read_status(project, runs.now()).behind] == [first.run_id] * 3


def test_check_names_a_table_that_readers_see_newer_than_what_it_was_built_from(lake: Lake) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.shop()
    for day in (1, 2):
        lake.land(f"shop/orders/{day}.csv", HEADER + f"{day},2024-01-01,10,1\n")
        run = lake.good()
    versions = releases.newest(lake.data)
    older = versions[SHOP] - 1
    with open_engine(lake.settings) as engine:
        releases.add(engine, lake.data, run, Release({**versions, SHOP: older}))
    said = f"built from version {versions[SHOP]} of {SHOP}, of which readers see {older}"
    law = "readers see what it was built from"
    assert [(one.table, one.law, one.found) for one in lake.findings()] == [(DAILY, law, said)]
