"""SQL on the page: one SELECT over one release, in bounded time and memory, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from anyio import to_thread
from conftest import ROOT, Lake
from page_site import COOKIE, HOST, Site, opened
from starlette.concurrency import run_in_threadpool

from src import catalog
from src.errors import BoathouseError
from src.masking.masks import NONE
from src.page import asking, queries, sandbox, sending
from src.page.app import build
from src.page.asking import Answer, Cell, Job, QuestionError
from src.page.drawing import answers
from src.run import releases

UNSAFE = "<script>alert(1)</script>"
ENDLESS = "WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM t) SELECT max(i) FROM t"
DAILY = "gold.shop.daily"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop whose newest load is held back from readers."""
    lake = Lake(tmp_path_factory.mktemp("sql"))
    lake.environ["SOURCE_SHOP_KEY"] = "a-long-secret"
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2026-01-01,10,1\n2,2026-01-02,20,1\n")
    lake.good()
    made = opened(lake)
    yield made
    made.page.look.close()


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return tmp_path


def request(site: Site, sql: str, room: Path, most: int = 1000) -> dict[str, object]:
    """What the process that answers a query is handed."""
    versions = releases.newest(site.lake.data)
    bounds = {"memory": 200 << 20, "spill": "100MB", "most": most, "masks": NONE.as_json()}
    return {"sql": sql, "data": str(site.lake.data), "versions": versions, "room": str(room), "output": None} | bounds


def ask(site: Site, sql: str, seconds: float = 20) -> Answer:
    return asking.ask(site.lake.data, sql, releases.newest(site.lake.data), NONE, seconds=seconds)


# -- what a query reads


def test_a_query_gives_its_rows_as_text_and_the_types(site: Site) -> None:
    found = ask(site, f"SELECT day, orders, NULL::INTEGER AS none FROM {DAILY} ORDER BY day;  -- all")
    assert dict(found.kinds) == {"day": "DATE", "orders": "BIGINT", "none": "INTEGER"}
    assert found.rows[1] == (Cell("2026-01-02"), Cell("1"), Cell(None))
    assert (len(found.rows), found.more) == (2, False)


def test_of_many_rows_the_first_are_sent_and_of_many_columns_fewer(site: Site, room: Path) -> None:
    found = sandbox.answered(request(site, "SELECT i FROM range(5000) t(i) ORDER BY i DESC", room))
    assert (len(found["rows"]), found["rows"][0], found["more"]) == (1000, [("4999", 4)], True)
    wide = ", ".join(f"i AS c{at}" for at in range(500))
    assert len(sandbox.answered(request(site, f"SELECT {wide} FROM range(5000) t(i)", room))["rows"]) == 100


def test_of_rows_with_many_long_values_fewer_are_sent(site: Site, room: Path) -> None:
    long = ", ".join(f"repeat('x', 600) AS c{at}" for at in range(50))
    found = sandbox.answered(request(site, f"SELECT {long} FROM range(1000)", room))
    assert (len(found["rows"]), found["more"]) == (20, True)  # 20 x 50 x 500 characters
    found = sandbox.answered(request(site, "SELECT repeat('x', 600) FROM range(900)", room))
    assert (len(found["rows"]), found["more"]) == (900, False)


def test_a_long_value_is_cut_where_it_is_and_its_length_is_told(site: Site) -> None:
    ((cell,),) = ask(site, "SELECT repeat('x', 5000000)").rows
    assert (len(cell.text or ""), cell.left_out) == (500, 4_999_500)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv() in a query"),
        ("SELECT * FROM read_text('/etc/passwd')", "read_text() in a query"),
        ("SELECT * FROM '/etc/passwd'", "no table /etc/passwd"),
        ("SELECT * FROM glob('/etc/*')", "glob() in a query"),
        ("SELECT * FROM duckdb_settings()", "duckdb_settings() in a query"),
        ("SELECT * FROM duckdb_databases()", "duckdb_databases() in a query"),
        ("SELECT sql FROM duckdb_views", "duckdb_views in a query"),
        ("SELECT * FROM duckdb_views, (WITH duckdb_views AS (SELECT 1) FROM duckdb_views)", "duckdb_views in a query"),
        ("SELECT view_definition FROM information_schema.views", "no table information_schema.views"),
        ("SELECT * FROM pragma_database_list", "pragma_database_list in a query"),
        ("SELECT * FROM query('SELECT * FROM duckdb_settings()')", "query() in a query"),
        ("SELECT * FROM query_table('duckdb_views')", "query_table() in a query"),
        ("SELECT * FROM (SHOW ALL TABLES)", "SHOW, DESCRIBE or SUMMARIZE in a query"),
        ("SELECT current_setting('temp_directory')", "current_setting() in a query"),
        ("SELECT system.main.current_setting('temp_directory')", "current_setting() in a query"),
        ("SELECT pg_get_viewdef(1)", "pg_get_viewdef() in a query"),
        ("SELECT getenv('HOME')", "getenv() in a query"),
        ("COPY (SELECT 1) TO 'x.csv'", "the SQL does not parse: it is no SELECT"),
        ("ATTACH 'x.db'", "the SQL does not parse: it is no SELECT"),
        ("INSTALL httpfs", "the SQL does not parse: it is no SELECT"),
        ("LOAD httpfs", "the SQL does not parse: it is no SELECT"),
        ("PRAGMA database_list", "the SQL does not parse: it is no SELECT"),
        ("SET enable_external_access = true", "the SQL does not parse: it is no SELECT"),
        ("DROP TABLE gold.shop.daily", "the SQL does not parse: it is no SELECT"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("", "no SQL"),
        (f"SELECT * FROM '{UNSAFE}'", f"no table {UNSAFE}"),
    ],
)
def test_a_query_reads_tables_of_the_lake_and_nothing_else(site: Site, room: Path, sql: str, what: str) -> None:
    with pytest.raises(BoathouseError) as raised:
        sandbox.answered(request(site, sql, room))
    assert raised.value.what == what


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('https://example.com/x.parquet')",
    ],
)
def test_what_would_pass_the_first_look_the_engine_itself_refuses(
    site: Site, room: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(catalog, "refuse_outside", lambda engine, sql: None)
    with pytest.raises(BoathouseError) as raised:
        sandbox.answered(request(site, sql, room))
    assert "disabled by configuration" in raised.value.what


def test_a_query_reads_the_release_and_not_what_is_held_back(site: Site, room: Path) -> None:
    held = request(site, f"SELECT * FROM {DAILY}", room) | {"versions": {}}
    with pytest.raises(BoathouseError, match="daily: not released yet"):
        sandbox.answered(held)
    assert len(sandbox.answered(request(site, "SELECT * FROM ops.pipeline_runs", room))["rows"]) > 1


def test_the_process_knows_no_credential(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_SHOP_KEY", "a-long-secret")
    process = asking._started()
    try:
        environ = Path(f"/proc/{process.pid}/environ").read_bytes() if Path("/proc/self").exists() else b""
        assert b"SOURCE_SHOP" not in environ
    finally:
        process.communicate("{}\n")


# -- bounds


def test_a_query_that_never_ends_is_stopped(site: Site) -> None:
    with pytest.raises(QuestionError) as raised:
        ask(site, ENDLESS, seconds=1)
    assert raised.value.what == "stopped after 1 s, the most that a query may take"


def test_others_are_answered_while_a_query_never_ends(site: Site) -> None:
    job = Job()

    def endless() -> None:
        with suppress(QuestionError):
            asking.ask(site.lake.data, ENDLESS, releases.newest(site.lake.data), NONE, job, seconds=60)

    thread = threading.Thread(target=endless)
    thread.start()
    answers_meanwhile = [site.get("/sql").status, len(ask(site, f"SELECT * FROM {DAILY}").rows)]
    still_running = thread.is_alive()
    job.stop()
    thread.join()
    assert (answers_meanwhile, still_running) == ([200, 2], True)


def test_memory_is_bounded_also_for_one_value_which_the_engine_does_not_count(site: Site) -> None:
    with pytest.raises(QuestionError, match="more memory than a query may take"):
        ask(site, "SELECT length(repeat('x', 2000000000))")


def test_whoever_leaves_the_screen_ends_the_query(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking.ask, "__kwdefaults__", {"seconds": 60.0})
    body = urlencode({"form_token": site.page.access.form_token, "sql": ENDLESS}).encode()
    headers = {"host": HOST, "cookie": f"{COOKIE}={site.page.access.key}", "origin": f"http://{HOST}"}
    scope: dict[str, object] = {"type": "http", "method": "POST", "path": "/sql", "query_string": b""}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    messages: list[dict[str, object]] = [{"type": "http.request", "body": body}]
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    began = time.monotonic()
    asyncio.run(build(site.page, {HOST}, COOKIE)(scope, receive, send))  # type: ignore[arg-type]
    assert time.monotonic() - began < 20
    assert b"stopped" in b"".join(part.get("body", b"") for part in sent[1:])  # type: ignore[misc]


def test_queries_that_wait_take_no_thread_of_the_other_screens() -> None:
    async def both() -> float:
        to_thread.current_default_thread_limiter().total_tokens = 1
        asked = sending.while_connected(Staying(), Job(), lambda: time.sleep(1))  # type: ignore[arg-type]
        task = asyncio.ensure_future(asked)
        await asyncio.sleep(0)
        began = time.monotonic()
        await run_in_threadpool(str)
        took = time.monotonic() - began
        await task
        return took

    assert asyncio.run(both()) < 0.7


class Staying:
    """A browser that stays."""

    async def is_disconnected(self) -> bool:
        return False


def test_a_question_nobody_waits_for_any_more_is_not_asked(site: Site) -> None:
    job = Job()
    job.stop()
    with pytest.raises(QuestionError, match="stopped"):
        asking.ask(site.lake.data, ENDLESS, {}, NONE, job, seconds=60)


@pytest.mark.long
def test_a_query_ends_with_the_page_however_that_ends(site: Site) -> None:
    code = (
        "import json, os, sys, time\n"
        "from src.page import asking\n"
        "process = asking._started()\n"
        "process.stdin.write(sys.argv[1] + chr(10)); process.stdin.flush()\n"
        "print(process.pid, flush=True); time.sleep(2); os._exit(9)"
    )
    asked = json.dumps(request(site, ENDLESS, site.lake.root))
    ran = subprocess.run([sys.executable, "-c", code, asked], cwd=ROOT, capture_output=True, text=True, timeout=60)
    pid, until = int(ran.stdout), time.monotonic() + 20
    while (running := Path(f"/proc/{pid}/stat").exists()) and time.monotonic() < until:
        time.sleep(0.1)
    assert not running


# -- taking away


def left_behind(site: Site) -> list[Path]:
    """The files that queries left in the lake's folder for what is spilled."""
    return list((site.lake.data / ".spill").rglob("*"))


@pytest.mark.parametrize(("form", "start"), [("csv", b"day,orders,amount"), ("parquet", b"PAR1"), ("xlsx", b"PK")])
def test_rows_are_taken_away_and_no_file_is_left(site: Site, form: str, start: bytes) -> None:
    taken = asking.take(site.lake.data, f"SELECT * FROM {DAILY}", releases.newest(site.lake.data), NONE, form)
    assert left_behind(site) == []  # before a byte is sent: whoever hangs up leaves nothing
    chunks = taken.chunks()
    assert next(chunks).startswith(start)
    chunks.close()  # type: ignore[attr-defined]
    assert taken.file.closed


def test_a_mart_is_downloaded_as_its_readers_see_it(site: Site) -> None:
    answer = site.get("/mart/shop/daily/rows.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="daily.csv"'
    assert answer.text.splitlines()[0] == "day,orders,amount"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "the formats are csv, parquet, xlsx" in site.get("/mart/shop/daily/rows.exe").text


def test_a_failed_download_leaves_no_file_either(site: Site) -> None:
    with pytest.raises(QuestionError):
        asking.take(site.lake.data, "SELECT error('no')", {}, NONE, "csv")
    assert left_behind(site) == []


# -- the screen


def test_an_address_shows_a_query_and_does_not_run_it(site: Site) -> None:
    before = queries.read(site.lake.data)
    text = site.get("/sql?" + urlencode({"q": f"SELECT '{UNSAFE}'"})).text
    assert "SELECT &#39;&lt;script&gt;alert(1)" in text
    assert '<h2 id="answer">' not in text
    assert queries.read(site.lake.data) == before


def test_the_form_runs_it_and_everything_is_escaped(site: Site) -> None:
    text = site.post("/sql", sql=f"SELECT '{UNSAFE}' AS \"{UNSAFE}\", 1 AS n").text
    assert "1 row" in text
    assert UNSAFE not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2


def test_a_mistake_says_its_line_and_the_nearest_name(site: Site) -> None:
    text = site.post("/sql", sql=f"SELECT day,\n  order_s\nFROM {DAILY}").text
    assert "no column order_s" in text
    assert "(line 2)" in text
    assert "did you mean orders" in text
    assert "(line 2)" in site.post("/sql", sql="SELECT 1,\n FROM FROM x").text


def test_a_query_without_the_form_is_refused(site: Site) -> None:
    assert site.post("/sql", sql="SELECT 1", form_token="").status == 400


def test_names_for_the_completion_are_those_of_the_release(site: Site) -> None:
    assert json.loads(site.get("/sql/names").text)["tables"][DAILY] == ["day", "orders", "amount"]


def test_the_last_queries_are_kept_once_without_secrets_and_bounded(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for at in (*range(60), 59):
        queries.record(tmp_path, f"SELECT {at}, 'a-long-secret'", "ann", now, ["a-long-secret"])
    found = queries.read(tmp_path)
    assert (len(found), found[0]) == (50, queries.Asked("SELECT 59, '***'", "ann", "2026-01-01T00:00:00+00:00"))
    (tmp_path / ".page" / "queries.json").write_text("{broken")
    assert queries.read(tmp_path) == ()


# -- its chart


def answer(kinds: dict[str, str], *rows: tuple[str | None, ...]) -> Answer:
    return Answer(kinds, tuple(tuple(map(Cell, row)) for row in rows), False, 0.1)


def test_a_date_and_a_number_are_bars_in_the_order_of_the_dates() -> None:
    found = answer({"day": "DATE", "n": "BIGINT"}, ("2026-01-02", "5"), ("2026-01-01", "7"))
    chosen = answers.choice(found)
    chart = answers.drawn(found, chosen)
    assert (chosen.kind, chosen.x, chosen.y) == ("bars", "day", ("n",))
    assert chart
    assert chart.sentence == (
        "n by day, 2026-01-01 to 2026-01-02: the greatest 7 (2026-01-01), the least 5 (2026-01-02)."
    )


def test_a_name_beside_the_date_makes_the_series() -> None:
    rows = [("2026-01-01", kind, "1") for kind in "abcdefgh"]
    found = answer({"day": "DATE", "kind": "VARCHAR", "n": "BIGINT"}, *rows)
    chosen = answers.choice(found)
    chart = answers.drawn(found, chosen)
    assert chosen.by == "kind"
    assert chart
    assert [name for _, name in chart.legend] == ["a", "b", "c", "d", "e", "f", "others"]


def test_a_chart_names_a_long_value_by_its_beginning() -> None:
    found = answer({"note": "VARCHAR", "n": "BIGINT"}, ("a" * 500, "1"), ("b" * 500, "2"))
    chart = answers.drawn(found, answers.choice(found))
    assert chart
    assert f"the greatest 2 ({'b' * 79}…)" in chart.sentence
    assert "a" * 80 not in chart.wide and "a" * 80 not in chart.sentence


def test_an_answer_without_numbers_has_no_chart() -> None:
    found = answer({"name": "VARCHAR"}, ("a",))
    assert answers.drawn(found, answers.choice(found)) is None
    numbers = answer({"name": "VARCHAR", "n": "DOUBLE"}, ("a", "nan"), ("b", None))
    assert answers.drawn(numbers, answers.choice(numbers, kind="none")) is None
    assert answers.drawn(numbers, answers.choice(numbers, kind="lines")) is not None
