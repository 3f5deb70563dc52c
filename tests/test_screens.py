"""The screens: what status, health and the report say of a lake as it lies on disk, and what they leave alone."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import Lake, short

from src import alerts
from src.facts import wording
from src.monitors.freshness import KEPT
from src.monitors.latency import Latency
from src.problems import Problem
from src.project import open_engine, open_project
from src.report import health, pages, plots, status, summary, writing
from src.report.pages import Grid, Page, Section, Spark
from src.report.plots import Bar
from src.run import backup_records, runs
from src.run.backup_records import Backup
from src.run.runs import Audited, Record

HEADER = "order_id,day,amount,updated\n"
BAD = "order_id,day,amount,order_id\n1,2024-01-01,1.50,1\n"
MONDAY = datetime(2026, 3, 30, 6, 30, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise asks for it


def sold(lake: Lake) -> Lake:
    """The shop after a run over orders of the last three days."""
    today = runs.now().date()
    lines = "".join(f"{at},{today - at * DAY},1.50,1\n" for at in range(1, 4))
    lake.shop().edit("gold/shop/contract.yaml", "unit: d}]", "unit: d}, {property: latency, value: 26, unit: h}]")
    lake.land("shop/orders/1.csv", HEADER + lines)
    lake.good()
    return lake


def check(lake: Lake, now: datetime | None = None) -> int:
    with open_project(lake.settings) as project:
        found = health.read_health(project, now or runs.now())
        health.print_health(found)
        health.send_alerts(project, found)
        health.record_figures(project, found)
    return int(not found.healthy)


def screen(lake: Lake, capsys: pytest.CaptureFixture[str], every_table: bool = False) -> str:
    with open_project(lake.settings) as project:
        status.print_status(status.read_status(project, runs.now()), every_table=every_table)
    return capsys.readouterr().out


def written(lake: Lake, now: datetime = MONDAY) -> tuple[str, str]:
    """The report as Markdown and as HTML, read back from disk."""
    with open_project(lake.settings) as project:
        found = summary.read_summary(project, now)
    done = writing.write(found, lake.data / "reports")
    writing.print_written(found.verdict, done)
    return done.markdown.read_text(encoding="utf-8"), done.html.read_text(encoding="utf-8")


def keep(lake: Lake, table: str, kind: type, rows: Sequence[object]) -> None:
    with open_engine(lake.settings) as engine:
        runs.append(engine, lake.data, table, kind, rows)


def open_incidents(lake: Lake) -> list[str]:
    with open_engine(lake.settings) as engine:
        return [incident.incident for incident in alerts.open_incidents(engine, lake.data)]


def ran(start: datetime, **facts: object) -> Record:
    """The record of a run that took two seconds and read 1,000 rows."""
    told = {"run_id": f"r{start:%m%d%H%M}", "layer": "run", "domain": "", "table": "", "status": "success", **facts}
    told = {"command": "make pipeline", "latency": 2.0, "records_read": 1000, "records_written": 1990, **told}
    end = start + timedelta(seconds=2)
    return Record(source_system="", run_date=start.date() - DAY, start_time=start, end_time=end, **told)  # type: ignore[arg-type]


def audited(start: datetime, passed: bool) -> Audited:
    what = ("rowCount", None, "mustBeGreaterThan", "10", 3.0, "rows", "warning", passed, 0, None, "")
    return Audited(f"r{start:%m%d%H%M}", start, "silver.shop.orders", *what)


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file below a folder, with its size and when it was changed, but what a look keeps for the next one."""
    there = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".known")
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in there}


def data_files(lake: Lake, table: str) -> list[Path]:
    return sorted(lake.data.joinpath(*table.split(".")).rglob("*.parquet"))


@contextmanager
def webhook() -> Iterator[tuple[str, list[str]]]:
    """A server of this machine that takes messages: its URL for alerts, and the titles it was posted."""
    titles: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            titles.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"json://127.0.0.1:{server.server_address[1]}/", titles
        finally:
            server.shutdown()
            thread.join()


# -- health


def test_a_well_lake_is_one_line_and_its_figures_are_kept(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake)
    capsys.readouterr()
    assert check(lake) == 0
    said = capsys.readouterr()
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert re.fullmatch(rf"healthy: 2 tables, 1 feed, last run {moment}: success\n", said.out)
    assert said.err == ""
    [(table, grade)] = lake.rows('SELECT "table", grade FROM ops.freshness')
    assert table == "gold.shop.daily" and grade in KEPT  # in the afternoon yesterday's rows are GOOD
    assert lake.rows("SELECT count(*) FROM ops.expected") == [(2,)]
    assert not (lake.data / "ops/alerts").exists()


def test_what_needs_a_person_is_on_stderr_with_what_to_do_and_gives_exit_code_1(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    sold(lake).land("shop/orders/2.csv", BAD)
    assert list(lake.run().failures) == ["bronze.shop.orders"]
    capsys.readouterr()
    assert check(lake) == 1
    said = capsys.readouterr()
    assert said.out == ""
    first, last = said.err.splitlines()
    assert first.startswith("P2 source bronze.shop.orders: failed: ")
    assert "order_id twice" in first
    assert " -> " in first
    assert " where: data/landing/shop/orders/2.csv -> " in first
    assert first.endswith("; and 2 findings that follow: 2 blocked")
    assert last == "1 problem, the worst P2"


def test_health_in_full_has_every_finding_below_its_cause(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake).land("shop/orders/2.csv", BAD)
    lake.run()
    capsys.readouterr()
    assert lake.command("health", "-v") == 1
    assert [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "P2 source bronze.shop.orders",
        "   P2 table gold.shop.daily",
        "   P2 table silver.shop.orders",
        "1 problem, the worst P2",
    ]


def test_a_table_that_only_waits_is_no_incident_and_one_of_it_is_not_told_as_over(lake: Lake) -> None:
    sold(lake)
    ill = Problem("table", "silver.shop.orders", "P2", date(2024, 1, 1), "audit failed", "fix it")
    with open_engine(lake.settings) as engine:
        alerts.update(engine, lake.data, (), [ill], runs.now(), ())
    bad = lake.land("shop/orders/2.csv", BAD)
    lake.run()
    assert check(lake) == 1
    assert open_incidents(lake) == ["table silver.shop.orders", "source bronze.shop.orders"]
    bad.unlink()
    lake.good()
    assert check(lake) == 0
    assert open_incidents(lake) == []


def test_housekeeping_is_said_on_stdout_and_gives_exit_code_0(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake)
    died = {"status": "failed", "error_class": "interrupted", "error_message": "make pipeline ended without a word"}
    keep(lake, runs.TABLE, Record, [ran(runs.now() - HOUR, run_id="r7", **died)])
    capsys.readouterr()
    assert check(lake) == 0
    said = capsys.readouterr()
    first, second = said.out.splitlines()
    assert first.startswith("P4 run r7: make pipeline ended without a word -> nothing is lost")
    assert second.startswith("healthy: ")
    assert said.err == ""


def test_what_a_week_of_hourly_checks_adds_is_not_worth_a_word(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake)
    for back in range(40):
        keep(lake, "ops.latency", Latency, [Latency(runs.now() - back * HOUR, "run", 1.0, 0, None, None, None, False)])
    capsys.readouterr()
    assert check(lake) == 0
    assert capsys.readouterr().out.startswith("healthy: ")
    assert lake.rows("SELECT small_files FROM ops.table_stats WHERE \"table\" = 'ops.latency'") == [(40,)]


def test_an_incident_is_told_once_and_that_it_is_over_once(lake: Lake) -> None:
    bad = sold(lake).land("shop/orders/2.csv", BAD)
    lake.run()
    with webhook() as (url, titles):
        lake.environ["ALERT_URLS"] = url
        assert (check(lake), check(lake)) == (1, 1)
        bad.unlink()
        lake.good()
        assert (check(lake), check(lake)) == (0, 0)
    assert titles == [
        "Boathouse: P2 opened: source bronze.shop.orders",
        "Boathouse: P2 recovered: source bronze.shop.orders",
    ]


def test_reading_health_opens_no_incident(lake: Lake) -> None:
    sold(lake).land("shop/orders/2.csv", BAD)
    lake.run()
    with open_project(lake.settings) as project:
        assert not health.read_health(project, runs.now()).healthy
    assert open_incidents(lake) == []


def test_a_channel_that_is_none_is_named_by_its_place_alone(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake)
    lake.environ["ALERT_URLS"] = "slack-token-sesame"
    capsys.readouterr()
    assert check(lake) == 1
    said = capsys.readouterr()
    assert said.err.startswith("ALERT_URLS, URL 1: no URL; ")
    assert "sesame" not in said.err + said.out


def test_nothing_has_run_yet_is_a_problem_and_leaves_no_figures(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    assert check(lake) == 1
    assert capsys.readouterr().err.startswith("P2 run pipeline: nothing has run yet -> `make pipeline`; ")
    assert not (lake.data / "ops/freshness").exists()
    assert open_incidents(lake) == ["run pipeline"]


def test_while_a_table_cannot_be_read_nothing_is_told_as_over(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake)
    stale = Problem("freshness", "gold.shop.daily", "P2", date(2024, 1, 1), "POOR", "run")
    with open_engine(lake.settings) as engine:
        alerts.update(engine, lake.data, (), [stale], runs.now(), ())
    log = lake.data / "gold/shop/daily/_delta_log/00000000000000000000.json"
    text = log.read_text(encoding="utf-8")
    log.write_text("{", encoding="utf-8")
    capsys.readouterr()
    assert check(lake) == 1
    assert "P1 table gold.shop.daily: cannot be read: " in capsys.readouterr().err
    assert open_incidents(lake) == ["table gold.shop.daily", "freshness gold.shop.daily"]
    log.write_text(text, encoding="utf-8")
    assert check(lake) == 0
    assert open_incidents(lake) == []


@pytest.mark.parametrize("damage", short(["gone", "its pages garbled"], 1))
def test_records_that_cannot_be_read_are_a_problem_on_every_screen(
    lake: Lake, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "yes"
    sold(lake)
    for path in data_files(lake, runs.TABLE):
        content = path.read_bytes()
        path.unlink()
        if damage != "gone":  # the footer is whole, so that it is met only when it is read
            footer = int.from_bytes(content[-8:-4], "little") + 8
            path.write_bytes(content[:4] + b"\xff" * (len(content) - 4 - footer) + content[-footer:])
    capsys.readouterr()
    shown = screen(lake, capsys)
    assert shown.startswith("1 problem, the worst P1")
    assert "The records of the runs cannot be read" in shown
    markdown, _ = written(lake, runs.now())
    assert "**1 problem, the worst P1**" in markdown
    capsys.readouterr()
    assert check(lake) == 1
    assert "P1 table ops" in capsys.readouterr().err


# -- status


def test_status_says_first_whether_all_is_fine_and_last_what_to_do(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    sold(lake)
    capsys.readouterr()
    lines = screen(lake, capsys).splitlines()
    assert lines[0].startswith("fine ")
    assert lines[-2] == "backup: none is verified yet; `make backup` makes one"
    assert re.fullmatch(r"next:   nothing to do; a run is due by \d{4}-\d\d-\d\d \d\d:\d\d UTC", lines[-1])
    assert re.search(r"^shop  3 fine  readers see \d\d-\d\d \d\d:\d\d$", "\n".join(lines), re.MULTILINE)


def test_status_of_every_table_has_what_readers_see_beside_the_newest(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    sold(lake)
    shown = screen(lake, capsys, every_table=True)
    [daily] = [line.split() for line in shown.splitlines() if "gold.shop.daily" in line]
    assert daily[:3] == ["✓", "gold.shop.daily", "fine"] and daily[3] in KEPT
    assert daily[4:6] == [str(runs.now().date() - DAY), "3"]
    today = f"{runs.now():%m-%d}"
    assert (daily[6], daily[8]) == (today, today)
    # a table that is held back: what readers see is older than what is built, and has fewer rows
    lake.add_largest("SELECT day, 1 AS orders, amount // 0 AS amount FROM silver.shop.orders WHERE error('no')")
    lake.land("shop/orders/2.csv", HEADER + f"9,{runs.now().date() - 4 * DAY},1.50,1\n")
    assert list(lake.run().failures) == ["gold.shop.largest"]
    shown = screen(lake, capsys, every_table=True)
    [daily] = [line.split() for line in shown.splitlines() if " gold.shop.daily " in line and "behind" not in line]
    assert daily[:4] == ["◷", "gold.shop.daily", "held", "back"] and daily[6] == "3"
    assert "held back by gold.shop.largest of the same mart" in " ".join(shown.split())
    domain = next(line for line in screen(lake, capsys).splitlines() if line.startswith("shop "))
    assert re.fullmatch(
        r"shop  1 failed, 1 held back, 2 fine  built \S+ \S+, readers see \S+ \S+: held back by", domain
    )


def test_status_fits_the_screen_and_says_the_worst_and_its_fix(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake).land("shop/orders/2.csv", BAD)
    lake.run()
    check(lake)
    capsys.readouterr()
    lines = screen(lake, capsys).splitlines()
    assert lines[0].startswith("1 problem, the worst P2 ")
    assert lines[1].startswith("P2  source bronze.shop.orders (open since ")
    assert "    and 2 findings that follow: 2 blocked" in lines
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 40
    fix = next(line.strip().removeprefix("-> ") for line in lines if line.strip().startswith("-> "))
    assert next(line for line in lines if line.startswith("next:   ")).removeprefix("next:   ")[:60] == fix[:60]
    assert any(line.startswith("last error: ") for line in lines)


def test_status_folds_housekeeping_and_names_incidents_that_are_over(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    sold(lake)
    died = {"status": "failed", "error_class": "interrupted", "error_message": "ended without a word"}
    keep(lake, runs.TABLE, Record, [ran(runs.now() - at * HOUR, run_id=f"r{at}", **died) for at in range(1, 6)])
    over = Problem("volume", "silver.shop.orders", "P3", date(2024, 1, 1), "3 rows", "ask the source")
    with open_engine(lake.settings) as engine:
        alerts.update(engine, lake.data, (), [over], runs.now(), ())
    capsys.readouterr()
    lines = screen(lake, capsys).splitlines()
    assert lines[0].startswith("fine; 5 of P4 can wait ")
    assert lines[1].startswith("P4  run r1, r2, r3 and 2 more: ended without a word -> nothing is lost")
    assert "    no longer seen, and closed by the next `make health`: volume silver.shop.orders" in lines


def test_status_and_health_are_read_without_a_word_and_keep_numbers_as_numbers(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    sold(lake).land("shop/orders/2.csv", BAD)
    lake.run()
    check(lake)
    capsys.readouterr()
    with open_project(lake.settings) as project:
        shown, found = status.read_status(project, runs.now()), health.read_health(project, runs.now())
    assert capsys.readouterr() == ("", "")
    tables = {table.id: table for table in shown.tables}
    daily = tables["gold.shop.daily"]
    assert (daily.rows, daily.seen_rows, daily.state) == (3, 3, "blocked")
    assert daily.freshness and str(daily.freshness.business_until) == f"{runs.now().date()} 00:00:00+00:00"
    assert tables["ops.pipeline_runs"].state == "fine"
    assert [(run.status, run.records_read) for run in shown.runs] == [("failed", 0), ("success", 3)]
    [known] = shown.causes
    assert (known.cause.head.incident, known.state) == ("source bronze.shop.orders", "open")
    assert (found.healthy, found.tables, found.feeds, found.verdict) == (False, 2, 1, "1 problem, the worst P2")
    assert [incident.incident for incident in found.incidents] == ["source bronze.shop.orders"]


def test_status_changes_no_file(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sold(lake)
    check(lake)
    before = files(lake.data)
    screen(lake, capsys)
    assert files(lake.data) == before


def test_status_names_what_is_not_built_and_the_last_good_backup(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop()
    made = runs.now() - 3 * HOUR
    keep(
        lake,
        backup_records.TABLE,
        Backup,
        [Backup("b1", "20260329", "backup", made, made, "offsite:lake", verified=True)],
    )
    shown = screen(lake, capsys)
    assert "shop  3 empty  nothing is released yet" in shown.splitlines()
    assert "backup: 20260329 at offsite:lake, found whole " in shown
    assert "(3 h ago)" in shown


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (999_600, "1.0 MB"), (2_500_000_000, "2.5 GB")],
)
def test_a_size_is_said_in_three_figures(count: int, said: str) -> None:
    assert wording.size(count) == said


# -- report


def month(lake: Lake) -> Lake:
    """Thirty days of the shop's records up to MONDAY: one day without a run, one partial run, one that failed."""
    lake.shop()
    records, audits = [], []
    for back in range(30):
        start = MONDAY - back * DAY - HOUR / 2
        if back == 12:
            continue
        facts: dict[str, object] = {}
        if back == 5:
            facts = {"status": "partial", "error_message": "2 of 3 | <script>alert(1)</script>\n  more"}
        if back == 9:
            facts = {"status": "failed", "error_message": "no room", "latency": 7.5, "records_read": 0}
        step = {"layer": "silver", "domain": "shop", "table": "orders", "command": None}
        records += [ran(start, quarantined=10, **facts), ran(start, **step, quarantined=10, inserted=990)]
        audits += [audited(start, passed=back != 2), audited(start, passed=True)]
    keep(lake, runs.TABLE, Record, records)
    keep(lake, runs.AUDITS, Audited, audits)
    return lake


def test_the_report_gives_the_figures_of_thirty_days(lake: Lake) -> None:
    markdown, html = written(month(lake))
    assert "# Lake report, Monday 2026-03-30\n" in markdown
    assert "29 runs, 27 of them whole; the median took 2.0 s. 1 day since the first without one." in markdown
    assert "28,000 rows read, 290 quarantined, 1.04% of them." in markdown
    assert "| silver.shop.orders | 13 of 14 (92.9%) | 57 of 58 (98.3%) | " in markdown
    assert "| silver.shop.orders | 70 of 7,000 (1.0%) | 290 of 29,000 (1.0%) | " in markdown
    assert "| 2026-03-21 06:00 | failed | make pipeline | 7.5 | no room |" in markdown
    assert (
        "| silver.shop.orders | rowCount | warning | 3.0 rows | mustBeGreaterThan 10 | 2026-03-28 06:00 | 1 |"
        in markdown
    )
    assert "There is no verified backup" in markdown
    for text in (
        "29 runs, 27 of them whole",
        "28,000 rows read",
        "57 of 58 (98.3%)",
        "2026-03-21: 1 run, the longest 7.5 s",
    ):
        assert text in html


def test_the_summary_has_the_figures_as_numbers_and_days(lake: Lake) -> None:
    month(lake)
    with open_project(lake.settings) as project:
        found = summary.read_summary(project, MONDAY)
    assert (len(found.runs), found.runs[0].started_at, found.runs[0].seconds) == (29, MONDAY - HOUR / 2, 2.0)
    assert [(row.day, row.read) for row in found.records][:2] == [(date(2026, 3, 1), 1000), (date(2026, 3, 2), 1000)]
    assert [(row.rule, row.column, row.value, row.times) for row in found.audits_failed] == [("rowCount", None, 3.0, 1)]
    assert sum(row.part for row in found.rows_rejected) == 290
    assert found.last_backup is None


def test_days_before_the_first_run_are_not_days_without_one(lake: Lake) -> None:
    lake.shop()
    keep(lake, runs.TABLE, Record, [ran(MONDAY - 3 * DAY), ran(MONDAY - DAY)])
    markdown, _ = written(lake)
    assert "2 runs, 2 of them whole; the median took 2.0 s. 2 days since the first without one." in markdown


def test_the_report_tells_what_became_of_incidents_not_who_was_sent_what(lake: Lake) -> None:
    month(lake)
    ill = Problem("source", "bronze.shop.orders", "P2", date(2026, 3, 27), "missing column day", "correct the file")
    with webhook() as (url, titles), open_engine(lake.settings) as engine:
        alerts.update(engine, lake.data, [url], [ill], MONDAY - 2 * DAY, ())
        alerts.ack(engine, lake.data, ill.incident, "ann", MONDAY - DAY, "the source fixes it")
        alerts.update(engine, lake.data, [url], [], MONDAY - HOUR, ["source"])
    assert len(titles) == 2
    markdown, _ = written(lake)
    shown = [line for line in markdown.splitlines() if "| source bronze.shop.orders |" in line]
    assert shown == [
        "| 2026-03-30 05:30 | recovered | P2 | source bronze.shop.orders | missing column day |  |",
        "| 2026-03-29 06:30 | acked | P2 | source bronze.shop.orders | the source fixes it | ann |",
        "| 2026-03-28 06:30 | opened | P2 | source bronze.shop.orders | missing column day |  |",
    ]


def test_a_report_of_the_same_moment_is_the_same_bytes_and_is_not_written_again(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    month(lake)
    first = written(lake)
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition("/")[2] for line in said[1:]] == ["2026-03-30.md", "2026-03-30.html"]
    before = files(lake.data)
    assert written(lake) == first
    assert capsys.readouterr().out.splitlines()[1:] == ["0 changed"]
    assert files(lake.data) == before


def test_the_report_is_all_that_a_report_writes(lake: Lake) -> None:
    sold(lake)
    check(lake)
    before = files(lake.data)
    now = runs.now()
    written(lake, now)
    names = {f"{now.date()}.md", f"{now.date()}.html"}
    assert {path.name for path, stamp in files(lake.data).items() if before.get(path) != stamp} == names


def test_what_an_error_says_is_text_in_the_report_and_nothing_else(lake: Lake) -> None:
    markdown, html = written(month(lake))
    assert "<script" not in html + markdown
    assert "2 of 3 | &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "| partial | make pipeline | 2.0 | 2 of 3 \\| &lt;script&gt;alert(1)&lt;/script&gt; |" in markdown


def test_the_report_has_what_and_what_to_do_of_each_cause_outside_of_any_table(lake: Lake) -> None:
    sold(lake).land("shop/orders/2.csv", BAD)
    lake.run()
    check(lake)
    markdown, html = written(lake, runs.now())
    assert "**1 problem, the worst P2**" in markdown
    cause = markdown.partition("**P2 source bronze.shop.orders (open since ")[2].partition("</details>")[0]
    what, advice, folded, *_, first, second = [line for line in cause.splitlines() if line]
    assert "order_id twice" in what
    assert advice.startswith("→ ")
    assert folded == "<details><summary>2 findings that follow: 2 blocked</summary>"
    assert first.startswith("| P2 | table gold.shop.daily |") and second.startswith("| P2 | table silver.shop.orders |")
    item = html.partition('<div class="item p2">')[2].partition("</div>\n")[0]
    assert item.index("order_id twice") < item.index("<p>→ ") < item.index("<details>") < item.index("<table")
    assert "| shop | 1 failed, 2 blocked |" in markdown
    assert "| ‖ blocked | gold.shop.daily |" in markdown


def test_reports_go_after_90_days_and_nothing_else_does(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    folder = lake.data / "reports"
    folder.mkdir(parents=True)
    stay = ("2025-12-30.md", "2025-12-30.html", "2026-03-31.md", "2024-02-30.md", "2024-01-01.txt", "old 2024-01-01.md")
    for name in ("2025-12-29.md", "2025-12-29.html", "2024-01-01.html", *stay):
        (folder / name).write_text("kept by somebody")
    (folder / "2024-01-02.md").mkdir()
    written(lake)  # on 2026-03-30
    left = {path.name for path in folder.iterdir()}
    assert left == {*stay, "2024-01-02.md", "2026-03-30.md", "2026-03-30.html"}
    assert "removed 3 files of reports older than 90 days" in capsys.readouterr().out
    written(lake, MONDAY - 400 * DAY)  # the clock went back
    assert left < {path.name for path in folder.iterdir()}


class Tags(HTMLParser):
    """The tags of a page in their order, each start with its attributes; complains of one that is not closed."""

    VOID = ("meta", "rect", "line", "circle", "polyline")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.started: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.started.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.started.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag


def test_the_page_loads_nothing_runs_nothing_and_is_whole(lake: Lake) -> None:
    _, html = written(month(lake))
    tags = Tags(html)
    assert tags.inside == []
    assert {"script", "link", "img", "iframe", "object", "base"} & {tag for tag, _ in tags.started} == set()
    references = [value for _, names in tags.started for name, value in names.items() if name in ("href", "src")]
    assert references and all(str(value).startswith("#s") for value in references)
    assert not re.search(r"url\(|@import|https?:", html)
    assert "prefers-color-scheme:dark" in html
    assert all(names["scope"] == "col" for tag, names in tags.started if tag == "th")


def test_every_plot_says_in_words_what_it_shows(lake: Lake) -> None:
    _, html = written(month(lake))
    drawn = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg class=\"plot\".*?</svg>", html, re.DOTALL)]
    assert [svg.findtext("title") for svg in drawn] == [
        "The longest run of each day",
        "Rows of each day",
        "Seconds of each layer by day",
    ]
    assert drawn[0].findtext("desc") == (
        "03-01 to 03-30, in seconds. The most is 2026-03-21: 1 run, the longest 7.5 s, the worst failed; "
        "the newest 2026-03-30: 1 run, the longest 2.0 s, the worst success. Marked: 03-21, 03-25."
    )
    for svg in drawn:
        named = {element.get("id") for element in svg if element.get("id")}
        assert set(str(svg.get("aria-labelledby")).split()) == named
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_a_report_of_nothing_says_so(lake: Lake) -> None:
    markdown, html = written(lake.shop())
    assert "**1 problem, the worst P2**" in markdown
    assert "nothing has run yet" in html
    assert "No run in the last 30 days." in markdown


def test_a_damaged_ops_table_is_said_in_the_report_and_the_rest_is_written(lake: Lake) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "yes"
    month(lake)
    for path in data_files(lake, runs.AUDITS):
        path.write_bytes(b"no parquet")
    markdown, _ = written(lake)
    assert "**P1 table ops" in markdown
    assert "29 runs, 27 of them whole" in markdown


# -- plots and pages


def heights(plot: plots.Plot, tone: str) -> list[float]:
    rects = ElementTree.fromstring(plot.svg).iter("rect")
    return [float(str(rect.get("height"))) for rect in rects if rect.get("class") == tone]


def test_a_bar_is_as_high_as_its_value(lake: Lake) -> None:
    shown = [Bar(f"{value}", (value,), ("main",), f"{value}") for value in (0.0, 25.0, 50.0, 100.0)]
    assert heights(plots.bars("p", "A plot", "rows", shown), "main") == [0.0, 33.5, 67.0, 134.0]


def test_one_bar_far_above_the_usual_is_cut_and_says_its_value() -> None:
    shown = [Bar(f"{at}", (100.0 if at else 90_000.0,), ("main",), "") for at in range(10)]
    plot = plots.bars("p", "A plot", "rows", shown)
    assert heights(plot, "main") == [134.0] * 10
    assert "↑90k" in plot.svg


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0"), (0.25, "0.25"), (12.0, "12"), (999.4, "999"), (1500.0, "1.5k"), (2e6, "2M")]
)
def test_a_number_beside_an_axis_is_short(value: float, said: str) -> None:
    assert plots.short(value) == said


def test_a_gap_in_a_spark_stays_a_gap() -> None:
    assert plots.letters((1.0, None, 8.0)) == "▁·█"
    svg = ElementTree.fromstring(plots.spark((1.0, 2.0, None, 4.0, 8.0), "rows & <more>"))
    assert len(list(svg.iter("polyline"))) == 2
    assert svg.findtext("title") == "rows & <more>: 1 to 8, last 8"
    assert plots.spark((None, 1.0), "rows") == ""


def test_a_page_says_the_same_in_markdown_and_in_html() -> None:
    grid = Grid("Tables", ("table", "rows", "by day"), (("a|b", 1234, Spark((1.0, 2.0), "rows")), ("<i>", None, None)))
    page = Page("T", "line", "fine", True, (Section("S", "type `make x`", grids=(grid,)),))
    assert pages.markdown(page) == (
        "# T\n\nline\n\n**fine**\n\n## S\n\ntype `make x`\n\nTables:\n\n| table | rows | by day |\n|---|---:|---|\n"
        "| a\\|b | 1,234 | ▁█ |\n| &lt;i&gt; |  |  |\n"
    )
    html = pages.html(page)
    assert "<p>type <code>make x</code></p>" in html
    assert "<td >&lt;i&gt;</td>" in html
    assert '<td class="n">1,234</td>' in html
