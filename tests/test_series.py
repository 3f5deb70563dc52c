"""A long table is watched series by series: its sources, its metrics, and each figure against its weekday."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from conftest import MART, Lake

from src import contract, documents, monitors
from src.contract import Watch
from src.errors import ContractErrors
from src.monitors import Findings, series
from src.project import open_project
from src.report import pages, sections, summary

WATCH = "{by: [app, source, metric], value: value, source: source, dictionary: silver.kpi.metrics}"
TABLE = f"""
apiVersion: v3.1.0
kind: DataContract
id: kpi.figures
version: 1.0.0
status: active
domain: kpi
servers:
  - {{server: figures, type: local, path: kpi/figures/*.csv, format: csv}}
slaProperties:
  - {{property: latency, value: 30, unit: h, element: figures.day, driver: operational}}
schema:
  - name: figures
    properties:
      - {{name: day, logicalType: date, required: true, primaryKey: true, primaryKeyPosition: 4}}
      - {{name: app, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}}
      - {{name: source, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 2}}
      - {{name: metric, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 3}}
      - {{name: value, logicalType: number}}
      - {{name: seen, logicalType: timestamp}}
    customProperties:
      - {{property: watch, value: {WATCH}}}
"""
DICTIONARY = """
apiVersion: v3.1.0
kind: DataContract
id: kpi.metrics
version: 1.0.0
status: active
domain: kpi
servers:
  - {server: metrics, type: local, path: kpi/metrics/*.csv, format: csv}
schema:
  - name: metrics
    properties:
      - {name: source, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
      - {name: metric, logicalType: string, primaryKey: true, primaryKeyPosition: 2}
      - {name: unit, logicalType: string}
      - {name: critical, logicalType: boolean}
      - {name: valid_from, logicalType: date, required: true}
    customProperties:
      - {property: history, value: scd2}
      - {property: sequenceBy, value: valid_from}
"""


@pytest.fixture
def kpis(lake: Lake) -> Lake:
    """The contracts of a long table and its dictionary."""
    return declare(lake)


def declare(lake: Lake) -> Lake:
    lake.write("silver/kpi/figures.yaml", TABLE)
    lake.write("silver/kpi/metrics.yaml", DICTIONARY)
    return lake


# -- what a contract says


def test_a_contract_says_which_columns_make_a_series(kpis: Lake) -> None:
    (table,) = (table for table in contract.load(kpis.root / "src").silver.values() if table.watch)
    assert table.watch == Watch(("app", "source", "metric"), "value", "source", "silver.kpi.metrics")
    kpis.edit("silver/kpi/figures.yaml", ", source: source, dictionary: silver.kpi.metrics}", "}")
    assert contract.load(kpis.root / "src").silver["silver.kpi.figures"].watch == Watch(
        ("app", "source", "metric"), "value"
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("value: value,", "value: amount,", "no column amount"),
        ("[app, source, metric]", "[app, source, metrik]", "no column metrik"),
        ("value: value,", "value: seen,", "watch of seen, which is TIMESTAMP WITH TIME ZONE"),
        ("value: value,", "value: app,", "watch of app, which is VARCHAR"),
        ("source: source,", "source: day,", "watch with source day"),
        ("[app, source, metric]", "[app, source, day]", "watch by day"),
        ("[app, source, metric]", "[app, source, value]", "watch by value"),
        ("silver.kpi.metrics", "silver.kpi.words", "no table silver.kpi.words"),
        ("[app, source, metric]", "[app]", "watch with source source"),
        ("figures.day", "figures.seen", "watch by business date, which is TIMESTAMP WITH TIME ZONE"),
        ("by: [app, source, metric],", "", "watch keys and values"),
        ("value: value,", "value: value, sauce: source,", "watch keys and values"),
    ],
)
def test_what_could_not_be_watched_is_refused(kpis: Lake, old: str, new: str, what: str) -> None:
    kpis.edit("silver/kpi/figures.yaml", old, new)
    with pytest.raises(ContractErrors) as raised:
        contract.load(kpis.root / "src")
    assert what in [error.what for error in raised.value.errors]


def test_a_dictionary_has_a_column_of_the_series(kpis: Lake) -> None:
    kpis.edit("silver/kpi/figures.yaml", "by: [app, source, metric]", "by: [app]")
    kpis.edit("silver/kpi/figures.yaml", "source: source, ", "")
    with pytest.raises(ContractErrors) as raised:
        contract.load(kpis.root / "src")
    (error,) = raised.value.errors
    assert error.what == "dictionary silver.kpi.metrics has no column of `by`"
    assert error.fix == "name a table with one of app; it has source, metric, unit, critical, valid_from"


def test_a_table_without_a_date_has_no_series(kpis: Lake) -> None:
    kpis.edit("silver/kpi/figures.yaml", "logicalType: date", "logicalType: string")
    with pytest.raises(ContractErrors) as raised:
        contract.load(kpis.root / "src")
    assert "watch by business date, and there is none" in [error.what for error in raised.value.errors]


def test_the_readme_of_a_mart_names_what_is_watched(lake: Lake) -> None:
    lake.shop()
    watched = "{property: watch, value: {by: [amount], value: orders, source: amount}}"
    lake.write("gold/shop/contract.yaml", f"{MART}    customProperties: [{watched}]\n")
    with open_project(lake.settings) as project:
        readme = documents.mart_readme(project.contracts.marts["shop"], project)
    assert "- **Watched:** `orders` day by day, for each series of `amount`; each `amount` is to be fresh\n" in readme


# -- what is found

MONDAY = datetime(2024, 3, 11, 7, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
SATURDAY, SUNDAY = date(2024, 3, 9), date(2024, 3, 10)
DAY = timedelta(days=1)
TODAY = datetime.now(UTC).date()  # the day of the run that takes these figures
KINDS = ("late", "critical", "missing", "unusual", "unknown")


def steady(last: date = SUNDAY, days: int = 70) -> dict[date, object]:
    """A figure of each day: 100 and a little, on Sundays half of it."""
    every = (last - back * DAY for back in range(days))
    return {day: (50 if day.weekday() == 6 else 100) + day.day % 3 for day in every}


def working(last: date = SUNDAY) -> dict[date, object]:
    """The same, without Saturdays and Sundays."""
    return {day: value for day, value in steady(last).items() if day.weekday() < 5}


def without(*days: date) -> dict[date, object]:
    return {day: value for day, value in steady().items() if day not in days}


# Every source is a case of its own; its series are told by app and metric.
FIGURES: dict[str, dict[date, object]] = {
    "cat/well/users": steady(),
    "dog/well/users": steady(),
    **{f"{app}/late/{metric}": steady(date(2024, 3, 8)) for app in ("cat", "dog") for metric in ("users", "sales")},
    "cat/rests/users": working(),
    **{f"{app}/zero/users": {**steady(), SATURDAY: 0} for app in ("cat", "dog")},
    "fox/zero/users": steady(),
    "cat/null/users": {**steady(), SATURDAY: None},
    "fox/null/users": steady(),
    "cat/gap/users": without(SUNDAY),
    "fox/gap/users": steady(),
    "cat/seldom/users": {**steady(), **{SUNDAY - back * DAY: 0 for back in range(0, 70, 9)}},
    "fox/seldom/users": steady(),
    "cat/once/users": {**steady(), SATURDAY: 0, SATURDAY - 14 * DAY: 0},
    "fox/once/users": steady(),
    "cat/odd/users": {**steady(), SUNDAY: 101},
    "dog/odd/users": {**steady(), SUNDAY: 12},
    "fox/odd/users": {**steady(), SATURDAY: 51},  # one odd day, and over
    "owl/odd/users": {**steady(), SATURDAY: 51, SATURDAY - DAY: 51},
    "cat/jumps/users": {**{day: 100 + 90 * (day.toordinal() % 8 == 0) for day in steady()}, SUNDAY: 190},
    "cat/rate/users": {**dict.fromkeys(steady(), 0.02), SUNDAY: 0.04},  # of a spread of one it would be nothing
    "cat/few/users": {**dict.fromkeys(steady(), 1), SUNDAY: 3},
    "cat/today/users": {TODAY: 5},
    "cat/yesterday/users": {TODAY - DAY: 5},
    "cat/young/users": {**steady(days=28), SUNDAY: 0, SATURDAY: 9000},
    "cat/begins/users": steady(),
    "dog/begins/users": steady(days=20),
    **{f"{app}/new/likes": {SUNDAY: 5} for app in ("ape", "bat", "cat", "dog")},
    "cat/new/gone": {SUNDAY - 20 * DAY: 5},
    "cat/new/users": steady(),
    "cat/bills/users": steady(),
    "cat/bills/sales": without(SUNDAY),
    "dog/bills/sales": without(SUNDAY),
    "cat/half/users": steady(),
    "cat/half/sales": without(SUNDAY, SUNDAY - 14 * DAY, SUNDAY - 28 * DAY),
    "cat/week/users": steady(),
    "cat/week/sales": {day: 100 for day in steady(SATURDAY, 8) if day.weekday() != 6},
    "cat/weekdays/users": steady(),
    "cat/weekdays/sales": working(),
    "a\\b/slash/users": steady(),
}
SOURCES = sorted({name.split("/")[1] for name in FIGURES})
WORDS = "".join(f"{source},users,persons,false,2024-01-01\n{source},sales,USD,true,2024-01-01\n" for source in SOURCES)
WORDS = "source,metric,unit,critical,valid_from\n" + WORDS.replace("late,sales,USD,true", "late,sales,USD,false")


def figures(rows: Mapping[str, Mapping[date, object]]) -> str:
    """A file of these series (app/source/metric)."""
    lines = [
        f"{day},{name.replace('/', ',')},{'' if value is None else value},"
        for name, values in rows.items()
        for day, value in values.items()
    ]
    return "\n".join(["day,app,source,metric,value,seen", *lines, ""])


def look(lake: Lake, now: datetime = MONDAY) -> Findings:
    with open_project(lake.settings) as project:
        return monitors.evaluate(project, now)


def told(findings: Findings, source: str = "") -> list[tuple[str, str, str]]:
    """The problems of the series of a source: kind, urgency, what."""
    found = (problem for problem in findings.problems if problem.kind in KINDS)
    subject = f"silver.kpi.figures {source}".rstrip()
    return [(problem.kind, problem.urgency, problem.what) for problem in found if problem.subject == subject]


def odd(findings: Findings, source: str) -> list[tuple[str, int, object, str]]:
    """The rows of a source that are not normal: series, day of March, figure, verdict."""
    rows = (row for row in findings.series if row.source == source and row.verdict != "normal")
    return [(row.series, row.day.day, row.value, row.verdict) for row in rows]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with every case above; nothing is written to it."""
    made = declare(Lake(tmp_path_factory.mktemp("company")))
    (made.root / "src/gold").mkdir()
    made.land("kpi/figures/1.csv", figures(FIGURES))
    made.land("kpi/metrics/1.csv", WORDS)
    made.good()
    return made


@pytest.fixture(scope="module")
def monday(company: Lake) -> Findings:
    """What is found on the morning after the last day."""
    return look(company)


@pytest.fixture
def mine(company: Lake, lake: Lake) -> Lake:
    """A copy of the company, to change it."""
    shutil.copytree(company.root, lake.root, dirs_exist_ok=True)
    return lake


def test_series_that_go_on_as_they_went_are_no_problem_and_each_has_its_newest_day(monday: Findings) -> None:
    assert told(monday, "well") == []
    assert [(row.series, row.day, row.value, row.verdict) for row in monday.series if row.source == "well"] == [
        ("cat/well/users", SUNDAY, 51.0, "normal"),
        ("dog/well/users", SUNDAY, 51.0, "normal"),
    ]


def test_a_late_source_is_one_problem_however_many_series_it_has(monday: Findings) -> None:
    assert told(monday, "late") == [("late", "P2", "late reaches to 2024-03-08, 55 h ago; promised within 30 h")]
    assert {row.day for row in monday.series if row.source == "late"} == {date(2024, 3, 8)}


def test_of_a_table_that_nobody_waits_for_nothing_is_late_or_missing_and_of_a_retired_one_nothing_is_told(
    declared: Lake, monday: Findings
) -> None:
    told_of = {kind for source in SOURCES for kind, _, _ in told(monday, source)}
    assert told_of == {"late", "critical", "missing", "unusual", "unknown"}
    promise = TABLE[TABLE.index("slaProperties") : TABLE.index("schema:")]
    declared.edit("silver/kpi/figures.yaml", promise, "")
    named = "    customProperties:\n      - {property: businessDate, value: day}\n"
    declared.edit("silver/kpi/figures.yaml", "    customProperties:\n", named)
    found = look(declared)
    assert {kind for source in SOURCES for kind, _, _ in told(found, source)} == {"unusual", "unknown"}
    declared.edit("silver/kpi/figures.yaml", "status: active", "status: retired")
    found = look(declared)
    assert [kind for source in SOURCES for kind, _, _ in told(found, source)] == []
    assert len(found.series) == len(monday.series)


def test_the_days_of_rest_of_a_source_do_not_make_it_late(monday: Findings) -> None:
    assert told(monday, "rests") == []


def test_nothing_where_there_always_was_something_is_missing(monday: Findings) -> None:
    what = "dog/zero/users is 0 on Saturday 2024-03-09; the median of its weekday is 101; 1 more series lacks a day"
    assert told(monday, "zero") == [("missing", "P2", what)]
    assert odd(monday, "zero") == [(f"{app}/zero/users", 9, 0.0, "none") for app in ("cat", "dog")]
    assert told(monday, "seldom") == []
    assert odd(monday, "once") == [("cat/once/users", 9, 0.0, "none")]


def test_a_row_without_a_figure_or_no_row_is_missing_once_the_promise_is_over(company: Lake, monday: Findings) -> None:
    assert told(monday, "null") == [
        ("missing", "P2", "cat/null/users has nothing on Saturday 2024-03-09; the median of its weekday is 101")
    ]
    assert told(monday, "gap") == []
    late = look(company, TUESDAY)
    assert told(late, "gap")[0][2] == "cat/gap/users has nothing on Sunday 2024-03-10; the median of its weekday is 51"
    assert [kind for kind, _, _ in told(late, "bills")] == ["critical"]  # which says it already
    assert odd(late, "gap") == [("cat/gap/users", 10, None, "none")]


def test_a_figure_far_from_its_weekday_is_unusual(monday: Findings) -> None:
    what = "cat/odd/users is high, 101 on Sunday 2024-03-10; the median of its weekday is 51"
    assert told(monday, "odd") == [("unusual", "P3", f"{what}; 2 more series are high or low")]
    assert odd(monday, "odd") == [
        ("cat/odd/users", 10, 101.0, "high"),
        ("dog/odd/users", 10, 12.0, "low"),
        ("fox/odd/users", 9, 51.0, "low"),
        ("owl/odd/users", 8, 51.0, "low"),
        ("owl/odd/users", 9, 51.0, "low"),
    ]


def test_what_is_far_is_told_by_how_far_the_series_itself_goes(monday: Findings) -> None:
    assert (odd(monday, "jumps"), odd(monday, "few")) == ([], [])
    assert odd(monday, "rate") == [("cat/rate/users", 10, 0.04, "high")]


def test_too_little_history_says_nothing_and_a_series_does_not_begin_with_zeros(monday: Findings) -> None:
    assert (told(monday, "young"), told(monday, "begins")) == ([], [])
    assert odd(monday, "begins") == [("dog/begins/users", 10, 51.0, "too little history")]
    assert odd(monday, "young") == [("cat/young/users", 10, 0.0, "too little history")]


def test_a_metric_that_the_dictionary_lacks_is_unknown_in_the_week_it_comes(monday: Findings) -> None:
    what = "not in silver.kpi.metrics: ape/new/likes, bat/new/likes, cat/new/likes; 1 more series"
    assert told(monday, "new") == [("unknown", "P3", what)]


def test_a_critical_series_without_yesterday_is_p1_once_its_time_is_over(company: Lake, monday: Findings) -> None:
    what = "cat/bills/sales is critical and reaches to 2024-03-09; 1 more critical series lacks yesterday"
    assert told(monday, "bills") == [("critical", "P1", what)]
    assert told(look(company, MONDAY - timedelta(hours=2)), "bills") == []


def test_a_critical_series_may_rest_on_the_days_it_always_does(company: Lake, monday: Findings) -> None:
    assert [told(monday, source) for source in ("weekdays", "half", "week")] == [[], [], []]
    late = told(look(company, datetime(2024, 3, 13, 7, tzinfo=UTC)), "weekdays")
    assert [(kind, urgency) for kind, urgency, _ in late] == [("critical", "P1"), ("late", "P2")]


def test_a_series_has_one_spelling_and_a_slash_in_a_value_is_told_from_one_between(monday: Findings) -> None:
    assert [row.series for row in monday.series if row.source == "slash"] == ["a\\\\b/slash/users"]
    assert series.spelled(("a/b", "c")) == "a\\/b/c" != series.spelled(("a", "b/c"))


def test_only_what_the_dictionary_says_now_counts(mine: Lake) -> None:
    words = "source,metric,unit,critical,valid_from\nbills,sales,USD,false,2024-02-01\nnew,likes,,false,2024-03-01\n"
    mine.land("kpi/metrics/2.csv", words)
    mine.good()
    found = look(mine)
    assert (told(found, "bills"), told(found, "new")) == ([], [])


def test_a_day_is_judged_once_a_run_went_through_after_it(company: Lake) -> None:
    rows = look(company, datetime.combine(TODAY + DAY, MONDAY.timetz())).series
    assert [row.source for row in rows if row.source in ("today", "yesterday")] == ["yesterday"]


def test_a_confirmed_day_is_no_problem_and_no_measure(mine: Lake) -> None:
    with open_project(mine.settings) as project:
        for back in (0, 1):
            incident = monitors.IncidentDay("silver.kpi.figures", SUNDAY - back * DAY, "a sale", MONDAY)
            monitors.confirm(project.engine, mine.data, incident)
    found = look(mine)
    assert [what.partition(",")[0] for _, _, what in told(found, "odd")] == []
    assert {row.verdict for row in found.series if row.source == "odd"} == {"low", "confirmed incident"}


@pytest.fixture
def declared(company: Lake, lake: Lake) -> Lake:
    """The company's lake under contracts of one's own."""
    shutil.copytree(company.root / "src", lake.root / "src", dirs_exist_ok=True)
    lake.environ["DATA_DIR"] = str(company.data)
    return lake


def test_a_promise_of_a_few_hours_wakes_nobody_on_a_day_of_rest(declared: Lake) -> None:
    declared.edit("silver/kpi/figures.yaml", "value: 30, unit: h", "value: 5, unit: h")
    found = look(declared)
    assert [[kind for kind, _, _ in told(found, source)] for source in ("weekdays", "bills")] == [[], ["critical"]]


def test_a_table_that_is_not_yet_by_its_contract_is_not_watched(declared: Lake) -> None:
    declared.edit(
        "silver/kpi/figures.yaml", "{name: seen,", "{name: region, logicalType: string}\n      - {name: seen,"
    )
    declared.edit("silver/kpi/figures.yaml", "[app, source, metric]", "[app, region, source, metric]")
    found = look(declared)
    assert (found.series, [one.what for one in found.problems if one.unreadable]) == ((), [])


def test_a_dictionary_that_is_not_yet_by_its_contract_says_nothing(declared: Lake) -> None:
    declared.edit(
        "silver/kpi/figures.yaml", "by: [app, source, metric], value: value, source: source", "by: [app], value: value"
    )
    declared.edit("silver/kpi/metrics.yaml", "{name: unit,", "{name: app, logicalType: string}\n      - {name: unit,")
    found = look(declared)
    assert {row.series for row in found.series} >= {"cat", "dog"}
    assert [one.kind for one in found.problems if one.unreadable or one.kind == "unknown"] == []


def test_the_newest_day_of_a_source_that_restates_its_days_is_not_judged(declared: Lake) -> None:
    lake = declared
    brought = (
        "customProperties: [{property: source, value: {connector: files, name: odd, remote: x/*.csv, lookback: 3}}]"
    )
    lake.edit("silver/kpi/figures.yaml", "csv, format: csv", f"csv, format: csv, {brought}")
    found = look(lake)
    assert {row.day for row in found.series if row.source == "well"} == {SUNDAY}
    assert {row.day for row in found.series if row.series == "cat/odd/users"} == {SATURDAY}
    assert [what.partition(",")[0] for _, _, what in told(found, "odd")] == ["owl/odd/users is low"]
    lake.edit("silver/kpi/figures.yaml", ", source: source", "")  # without a source all of its feeds count
    assert {row.day for row in look(lake).series if row.series == "cat/odd/users"} == {SATURDAY}
    assert "late" not in [kind for kind, _, _ in told(look(lake, MONDAY + 9 * DAY))]  # the table's freshness says it
    lake.edit("silver/kpi/figures.yaml", "lookback: 3", "lookback: 1")
    assert {row.day for row in look(lake).series if row.series == "cat/odd/users"} == {SUNDAY}


def test_what_was_recorded_is_not_recorded_again_until_it_is_otherwise(mine: Lake) -> None:
    def recorded() -> list[tuple[object, ...]]:
        with open_project(mine.settings) as project:
            monitors.record(project.engine, mine.data, monitors.evaluate(project, MONDAY))
        which = "WHERE series = 'cat/well/users' ORDER BY measured_at, value"
        return mine.rows(f"SELECT day, value, verdict FROM ops.series {which}")

    assert recorded() == recorded() == [(SUNDAY, 51.0, "normal")]
    mine.land("kpi/figures/2.csv", figures({"cat/well/users": {SUNDAY: 52}}))
    mine.good()
    assert [value for _, value, _ in recorded()] == [51.0, 52.0]


def test_a_table_that_is_not_built_or_has_no_row_is_not_watched_and_a_dictionary_may_come_later(kpis: Lake) -> None:
    assert look(kpis).series == ()
    kpis.land("kpi/figures/1.csv", figures({}))
    kpis.good()
    assert look(kpis).series == ()
    kpis.edit("silver/kpi/figures.yaml", ", source: source", "")
    kpis.land("kpi/figures/2.csv", figures({"cat/well/likes": {SUNDAY: 5}}))
    kpis.good()
    found = look(kpis)
    assert ([row.series for row in found.series], told(found)) == (["cat/well/likes"], [])


def test_of_a_table_cut_by_day_the_last_ten_weeks_are_read_and_what_is_no_number_is_no_figure(lake: Lake) -> None:
    lake.shop()
    watched = "{property: watch, value: {by: [orders], value: amount}}"
    lake.write("gold/shop/contract.yaml", f"{MART}    customProperties: [{watched}]\n")
    any_number = "logicalType: number, customProperties: [{property: nonFinite, value: allowed}]"
    lake.edit("gold/shop/contract.yaml", 'logicalType: number, physicalType: "decimal(18,2)"', any_number)
    amount = "CASE WHEN day = DATE '2024-03-10' THEN 'nan'::DOUBLE ELSE sum(amount) END AS amount"
    lake.write("gold/shop/daily.sql", f"SELECT day, count(*) AS orders, {amount} FROM silver.shop.orders GROUP BY day")
    days = (SUNDAY, SATURDAY, date(2023, 12, 30))
    lines = "".join(f"{at},{day},1.50,1\n" for at, day in enumerate(days))
    lake.land("shop/orders/1.csv", f"order_id,day,amount,updated\n{lines}")
    lake.good()
    (old,) = lake.data.glob("gold/shop/daily/day=2023-12-30/*.parquet")
    old.write_bytes(b"")
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    assert [(row.series, row.day, row.value) for row in look(lake).series] == [("1", SATURDAY, 1.5)]


# -- the report


@pytest.fixture(scope="module")
def page(company: Lake) -> tuple[str, str]:
    """The report of that morning, as Markdown and as HTML; written elsewhere."""
    with open_project(company.settings) as project:
        found = summary.read_summary(project, MONDAY)
    told = sections.page(found)
    return pages.markdown(told), pages.html(told)


def lines(page: str, start: str) -> list[str]:
    """The lines of a page that begin so, cells apart, without the plot."""
    return [line.rpartition("| ")[0] for line in page.splitlines() if line.startswith(start)]


def test_the_report_shows_each_series_beside_its_weekday_by_source_and_metric(page: tuple[str, str]) -> None:
    markdown, html = page
    assert "## Figures of silver.kpi.figures\n" in markdown
    assert lines(markdown, "| jumps | users | cat |") == [
        "| jumps | users | cat | 2024-03-10 Sun | 190 persons | 100 | +90% | normal "
    ]
    assert lines(markdown, "| rate | users | cat |")[0].endswith("| 0.04 persons | 0.02 | +100% | ▲ high ")
    assert lines(markdown, "| young |")[0].endswith("| 0 persons |  |  | too little history ")
    assert "<details><summary>zero: 3 series, 0 odd</summary>" in html
    assert "<title>cat/jumps/users by day: 100 to 190, last 190</title>" in html


def test_what_is_odd_or_critical_comes_first_in_the_report(page: tuple[str, str]) -> None:
    markdown, _ = page
    caption, _, rest = markdown.partition("What is critical or odd:")[2].partition("\n\n")[2].partition("|\n|---")
    first = [" ".join(line.split(" | ")[:3]) for line in rest.partition("\n\n")[0].splitlines()[1:]]
    odd_ones = first[: first.index("| half sales cat")]
    assert caption.startswith("| source | metric | app | day | figure | median | change | verdict ")
    assert odd_ones == [
        "| bills sales cat",
        "| bills sales dog",
        "| odd users cat",
        "| odd users dog",
        "| rate users cat",
    ]
    assert lines(markdown, "| bills | sales | cat | 2024-03-09 Sat |")[0].endswith("✗ lacks yesterday (critical) ")
    assert lines(markdown, "| new | likes | ape |")[0].endswith("| too little history (not in the dictionary) ")


def test_a_report_without_a_watched_table_has_no_figures(lake: Lake) -> None:
    with open_project(lake.shop().settings) as project:
        found = summary.read_summary(project, MONDAY)
    assert found.series == ()
    assert "Figures of" not in pages.markdown(sections.page(found))
