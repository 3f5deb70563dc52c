"""The logs: one file a day kept 14 days, the console one line a message, and never a secret in either."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import ROOT, Lake, typed
from loguru import logger

from src import __version__
from src.commands.rotate_logs import print_plan
from src.errors import MachineError
from src.maintenance import rotate_logs
from src.run import logs, rotation

SECRET = "hunter2-and-more"
# A command that logs on a day that is not today: what it says is stamped as if the clock stood there.
SAY = """
import sys
from pathlib import Path
from src.run import logs
logs.start(Path(sys.argv[1]), level="INFO", secrets=[], console_level="ERROR")
from src.logger import logger
year, month, day = map(int, sys.argv[2].split("-"))
moved = logger.patch(lambda said: said.update(time=said["time"].replace(year=year, month=month, day=day, hour=12)))
for text in sys.argv[3:]:
    moved.info(text)
"""
TODAY = date(2026, 11, 21)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A log folder that is not there yet; afterwards nothing is logged any more."""
    yield tmp_path / "some" / "logs"
    logger.remove()
    logger.configure(patcher=lambda record: None)


def start(folder: Path, *secrets: str, console_level: str = "INFO", form: logs.Form = "text") -> None:
    logs.start(folder, level="INFO", secrets=secrets, console_level=console_level, command="backfill", form=form)


def written(folder: Path) -> str:
    return (folder / "app.log").read_text(encoding="utf-8")


# -- secrets


def connect(password: str) -> None:
    try:
        raise KeyError(password)
    except KeyError as error:
        raise ConnectionError(f"refused: user=me password={password}") from error


def test_a_secret_is_struck_out_of_messages_and_tracebacks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(folder, SECRET, "other")
    logger.warning("the remote says {} and {}", f"https://me:{SECRET}@example.org", "other")
    try:
        connect(SECRET)
    except ConnectionError as error:
        logger.opt(exception=error).error("a bug: {}: {}", type(error).__name__, error)
    told = written(folder)
    assert "the remote says https://me:***@example.org and ***" in told
    assert "a bug: ConnectionError: refused: user=me password=***" in told
    assert "Traceback (most recent call last):" in told
    assert "KeyError: '***'" in told
    assert "in connect" in told
    shown = capsys.readouterr().err
    for text in (told, shown):
        assert SECRET not in text


def test_the_console_has_one_line_a_message_and_no_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(folder)
    logger.info("bronze.shop.orders: 1 files")
    try:
        connect("x")
    except ConnectionError as error:
        logger.opt(exception=error).critical("a bug: {}", type(error).__name__)
    lines = [re.sub(r"^\d\d:\d\d:\d\dZ ", "", line) for line in capsys.readouterr().err.splitlines()]
    assert lines == ["INFO    bronze.shop.orders: 1 files", "CRITICAL a bug: ConnectionError"]


def test_a_traceback_shows_no_values_of_variables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They could hold what no setting names as a secret, such as a customer's row."""

    def read(row: str) -> None:
        raise ValueError("no amount")

    start(folder)
    try:
        read("Ada" + " Lovelace")
    except ValueError:
        logger.exception("a bug")
    assert "ValueError: no amount" in written(folder)
    assert "Ada Lovelace" not in written(folder) + capsys.readouterr().err


def test_braces_and_markup_in_messages_and_tracebacks_stand_as_they_are(folder: Path) -> None:
    start(folder)
    odd = "{not a field} {0} <red>markup</red> {extra[x]} %s \\"
    logger.info("{}", odd)
    try:
        raise ValueError(odd)
    except ValueError:
        logger.exception("failed with {}", odd)
    assert written(folder).count(odd) == 3  # twice as a message, once as what the error says


def test_the_console_says_what_matters_to_it_and_the_file_what_matters_to_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(folder, console_level="ERROR")
    for level in ("DEBUG", "INFO", "ERROR"):
        logger.log(level, f"of level {level}")
    assert re.findall(r"of level (\w+)", written(folder)) == ["INFO", "ERROR"]
    assert re.findall(r"of level (\w+)", capsys.readouterr().err) == ["ERROR"]


def test_a_folder_that_cannot_be_made_is_a_machine_error(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where the logs should be", encoding="utf-8")
    with pytest.raises(MachineError, match="exists"):
        start(folder)


# -- the run and the command of each line; JSON


def test_every_line_says_its_command_and_its_run_once_there_is_one(folder: Path) -> None:
    start(folder)
    logger.info("no run yet")
    logs.begin_run("r1")
    logger.warning("of the run")
    assert [line.split(" | ")[1:] for line in written(folder).splitlines()] == [
        ["INFO    ", "-", "backfill", "no run yet"],
        ["WARNING ", "r1", "backfill", "of the run"],
    ]


def test_the_lines_of_a_run_have_its_id(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    logs.start(lake.root / "logs", level="INFO", secrets=(), console_level="ERROR", command="run")
    run = lake.good()
    lines = [line.split(" | ") for line in written(lake.root / "logs").splitlines()]
    assert {(line[2], line[3]) for line in lines} == {(run.run_id, "run")}
    assert lines[0][4] == f"run {run.run_id}: make pipeline, Boathouse {__version__}"
    assert len(lines) == 5


def test_as_json_each_message_is_one_object_in_one_line_with_no_secret(folder: Path) -> None:
    odd = 'hunter2"\\\u00e4'  # as JSON writes it, it would no longer be found
    start(folder, odd, form="json")
    logger.info("two\nlines {} of %s {}", "{x}", odd)
    logs.begin_run("r1")
    try:
        connect(odd)
    except ConnectionError:
        logger.exception("a bug")
    first, second = (json.loads(line) for line in written(folder).splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo == UTC
    message = "two\nlines {x} of %s ***"
    assert first == {"level": "INFO", "run_id": None, "command": "backfill", "message": message}
    assert (second["level"], second["run_id"], second["message"]) == ("ERROR", "r1", "a bug")
    assert second["exception"].startswith("Traceback (most recent call last):\n")
    assert second["exception"].endswith("ConnectionError: refused: user=me password=***\n")
    assert "hunter2" not in written(folder)


def test_a_log_of_json_is_of_the_day_that_its_first_line_says(folder: Path) -> None:
    put(folder, "app.log", text='{"time": "2026-11-20T08:00:00.000Z", "level": "INFO"}\n')
    at(folder / "app.log", "2026-11-21")
    assert rotated(folder) == ["app.2026-11-20.log"]


def test_the_settings_choose_the_form_of_the_log_and_the_command_is_named(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    assert lake.typed(LOG_FORMAT="json").returncode == 0
    lines = [json.loads(line) for line in written(lake.root / "logs").splitlines()]
    assert {line["command"] for line in lines} == {"run"}
    [(run_id,)] = lake.rows("SELECT run_id FROM ops.pipeline_runs WHERE layer = 'run'")
    assert {line["run_id"] for line in lines} == {run_id}


# -- rotation, by short processes; the clock of each is set by the time it is told to log


def say(folder: Path, day: str, *texts: str) -> subprocess.Popen[bytes]:
    """Begin a process of its own, as every command is, that logs lines on a day."""
    return subprocess.Popen([sys.executable, "-c", SAY, str(folder), day, *texts], cwd=ROOT)


def messages(path: Path) -> list[str]:
    return [line.rsplit(" | ", 1)[1] for line in path.read_text(encoding="utf-8").splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".rotation.lock")


def put(folder: Path, *names: str, text: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(text or f"{name}\n", encoding="utf-8")


def at(path: Path, day: str) -> None:
    """Set the time a file was last written."""
    then = datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()
    os.utime(path, (then, then))


def test_each_day_has_its_file_through_short_processes_two_at_once_and_days_without_a_run(folder: Path) -> None:
    days = ("2026-11-01", "2026-11-02", "2026-11-05", "2026-11-18")
    for day in days:
        for going in [say(folder, day, f"{day} a"), say(folder, day, f"{day} b")]:
            assert going.wait() == 0
        assert say(folder, day, f"{day} c").wait() == 0
    # the 1st and the 2nd are more than 14 days ago on the 18th
    assert names(folder) == ["app.2026-11-05.log", "app.log"]
    assert sorted(messages(folder / "app.2026-11-05.log")) == ["2026-11-05 a", "2026-11-05 b", "2026-11-05 c"]
    assert sorted(messages(folder / "app.log")) == ["2026-11-18 a", "2026-11-18 b", "2026-11-18 c"]


def test_a_process_that_lives_over_midnight_goes_on_in_the_file_of_the_new_day(folder: Path) -> None:
    one, other = rotation.Log(folder / "app.log"), rotation.Log(folder / "app.log")
    one.write("2026-11-20 23:59:59 one\n", datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC))
    other.write("2026-11-20 23:59:59 other\n", datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC))
    other.write("2026-11-21 00:00:01 other\n", datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC))
    one.write("2026-11-21 00:00:02 one\n", datetime(2026, 11, 21, 0, 0, 2, tzinfo=UTC))
    assert names(folder) == ["app.2026-11-20.log", "app.log"]
    assert (folder / "app.2026-11-20.log").read_text() == "2026-11-20 23:59:59 one\n2026-11-20 23:59:59 other\n"
    assert (folder / "app.log").read_text() == "2026-11-21 00:00:01 other\n2026-11-21 00:00:02 one\n"


def test_a_day_is_one_of_utc_wherever_the_machine_stands(folder: Path) -> None:
    log = rotation.Log(folder / "app.log")
    tokyo = timezone(timedelta(hours=9))
    log.write("2026-11-20 23:30:00 still the 20th\n", datetime(2026, 11, 21, 8, 30, tzinfo=tokyo))
    log.write("2026-11-21 00:30:00 the 21st\n", datetime(2026, 11, 21, 9, 30, tzinfo=tokyo))
    assert (folder / "app.2026-11-20.log").read_text() == "2026-11-20 23:30:00 still the 20th\n"
    assert (folder / "app.log").read_text() == "2026-11-21 00:30:00 the 21st\n"


def test_the_times_of_the_file_and_of_the_console_are_those_of_utc(folder: Path) -> None:
    code = SAY.replace('console_level="ERROR"', 'console_level="INFO"').replace("moved.info", "logger.info")
    before = datetime.now(UTC).replace(microsecond=0)
    command = [sys.executable, "-c", code, str(folder), "2026-11-21", "here"]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | {"TZ": "Asia/Tokyo"}, capture_output=True, check=True)
    stamp, rest = written(folder).split("Z", 1)
    assert before <= datetime.fromisoformat(f"{stamp}+00:00") <= datetime.now(UTC)
    assert (rest, ran.stderr.decode()) == (" | INFO     | - | - | here\n", f"{stamp[11:19]}Z INFO    here\n")


def test_many_processes_that_begin_a_day_at_once_lose_no_line(folder: Path) -> None:
    put(folder, "app.log", text="2026-11-19 08:00:00.000Z | INFO     | the day before\n")
    many = [say(folder, "2026-11-20", *(f"{process} {line}" for line in range(200))) for process in range(6)]
    assert [going.wait() for going in many] == [0] * 6
    assert names(folder) == ["app.2026-11-19.log", "app.log"]
    assert messages(folder / "app.2026-11-19.log") == ["the day before"]
    told = messages(folder / "app.log")
    assert sorted(told) == sorted(f"{process} {line}" for process in range(6) for line in range(200))
    assert [line for line in told if line.startswith("3 ")] == [f"3 {line}" for line in range(200)]


# -- what is moved aside, what is deleted, what is left alone


def rotated(folder: Path, today: date = TODAY) -> list[str]:
    rotation.rotate(folder, today)
    return names(folder)


def test_a_log_is_14_days_old_by_the_day_in_its_name_and_goes_after_that(folder: Path) -> None:
    put(folder, "app.2026-11-06.log", "app.2026-11-07.log", "cron.2026-11-06.2.log", "cron.2026-11-07.log")
    put(folder, "app.2026-11-05_00-00-01_000123.log", "app.2026-11-19_00-00-01_000123.log")  # loguru's names
    with gzip.open(folder / "app.2026-10-01.log.gz", "wt") as packed:
        packed.write("packed by hand\n")
    for path in folder.iterdir():
        at(path, "2026-11-21")  # copied or restored only just: that makes none of them younger
    left = ["app.2026-11-07.log", "app.2026-11-19_00-00-01_000123.log", "cron.2026-11-07.log"]
    assert rotated(folder) == left


def test_what_is_not_a_log_of_ours_stays_whatever_its_age(folder: Path) -> None:
    theirs = [
        "access.2020-01-01.log",
        "access.log",
        "app.2020-01-01.log.bak",
        "app.2020-01-01.txt",
        "app.2020-02-30.log",
    ]
    theirs += ["app.log.2020-01-01", "cron.log.1", "my-app.2020-01-01.log", "notes.txt", "xapp.log"]
    put(folder, *theirs)
    (folder / "app.2020-01-02.log").mkdir()
    (folder / "app.2020-01-03.log").symlink_to(folder / "notes.txt")
    for name in theirs:
        at(folder / name, "2020-01-01")
    assert rotated(folder) == sorted([*theirs, "app.2020-01-02.log", "app.2020-01-03.log"])


def test_a_log_is_of_the_day_that_its_first_dated_line_says_else_of_its_last_write(folder: Path) -> None:
    put(folder, "app.log", text="2026-11-18 08:00:00.000 | INFO | one\n2026-11-20 08:00:00.000 | INFO | two\n")
    put(folder, "cron.log", text="make: *** no day is said here 2026-11-01\n")
    at(folder / "app.log", "2026-11-21")
    at(folder / "cron.log", "2026-11-19")
    assert rotated(folder) == ["app.2026-11-18.log", "cron.2026-11-19.log"]
    put(folder, "app.log", text="Traceback:\n2026-99-99\n2026-11-20 08:00:00.000 | INFO | one\n")
    put(folder, "cron.log", text="of today")
    at(folder / "app.log", "2026-11-21")
    at(folder / "cron.log", "2026-11-21")
    assert rotated(folder) == ["app.2026-11-18.log", "app.2026-11-20.log", "cron.2026-11-19.log", "cron.log"]


def test_an_empty_log_stays_where_it_is(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "app.log").touch()
    at(folder / "app.log", "2026-11-01")
    assert rotated(folder) == ["app.log"]


def test_a_log_moved_aside_never_takes_the_place_of_another(folder: Path) -> None:
    for text in ("first", "second", "third"):
        put(folder, "app.log", text=f"2026-11-20 {text}\n")
        rotation.rotate(folder, TODAY)
    assert names(folder) == ["app.2026-11-20.2.log", "app.2026-11-20.3.log", "app.2026-11-20.log"]
    assert (folder / "app.2026-11-20.log").read_text() == "2026-11-20 first\n"
    assert (folder / "app.2026-11-20.3.log").read_text() == "2026-11-20 third\n"


def test_a_clock_gone_ahead_or_back_mixes_no_days(folder: Path) -> None:
    put(folder, "app.log", text="2031-01-02 the clock was ahead\n")
    rotation.Log(folder / "app.log").write("2026-11-21 fixed\n", datetime(2026, 11, 21, 12, tzinfo=UTC))
    assert (folder / "app.2031-01-02.log").read_text() == "2031-01-02 the clock was ahead\n"
    assert (folder / "app.log").read_text() == "2026-11-21 fixed\n"


def test_a_machine_started_with_its_clock_behind_shortens_no_log_s_life(folder: Path) -> None:
    put(folder, "app.2026-11-19.log", "app.2026-11-20.log")
    put(folder, "app.log", text="2026-11-21 before it was started\n")
    for day in ("1970-01-01", "2026-11-21"):
        text, when = f"{day} started\n", datetime.fromisoformat(f"{day}T12:00:00+00:00")
        rotation.Log(folder / "app.log").write(text, when)
    assert names(folder) == [
        "app.1970-01-01.log",
        "app.2026-11-19.log",
        "app.2026-11-20.log",
        "app.2026-11-21.log",
        "app.log",
    ]
    assert (folder / "app.2026-11-21.log").read_text() == "2026-11-21 before it was started\n"
    assert rotated(folder, date(2026, 12, 4)) == ["app.2026-11-20.log", "app.2026-11-21.2.log", "app.2026-11-21.log"]


def test_whoever_writes_nothing_moves_nothing(folder: Path) -> None:
    put(folder, "app.log", text="2026-11-20 the day before\n")
    start(folder)
    assert names(folder) == ["app.log"]
    logger.info("the first line of this day")
    assert names(folder) == ["app.2026-11-20.log", "app.log"]
    assert messages(folder / "app.log") == ["the first line of this day"]


def test_a_process_killed_in_its_turn_leaves_the_turn_to_the_next(folder: Path) -> None:
    put(folder, "app.log", text="2026-11-20 the day before\n")
    hold = "import sys, time; from pathlib import Path; from src.run import rotation\n"
    hold += "with rotation.turn(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", hold, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        other = say(folder, "2026-11-21", "waited")
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
        holder.kill()
    assert other.wait() == 0
    assert messages(folder / "app.log") == ["waited"]


# -- by hand


def test_by_hand_it_shows_what_becomes_of_each_log_and_a_dry_run_only_shows_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder, "app.log", text="2026-11-20 the day before\n")
    put(folder, "cron.2026-11-01.log", "app.2026-11-19.log")
    table = """\
log                  change
-------------------  ---------------------------
app.log              becomes app.2026-11-20.log
cron.2026-11-01.log  deleted: older than 14 days
"""
    now = datetime(2026, 11, 21, 1, tzinfo=timezone(timedelta(hours=1)))
    print_plan(rotate_logs.read_plan(folder, now))
    assert capsys.readouterr().out == table
    assert names(folder) == ["app.2026-11-19.log", "app.log", "cron.2026-11-01.log"]
    print_plan(rotate_logs.rotate(folder, now))
    assert capsys.readouterr().out == table
    assert names(folder) == ["app.2026-11-19.log", "app.2026-11-20.log"]
    print_plan(rotate_logs.rotate(folder, now))
    assert capsys.readouterr().out == "0 changed\n"


def test_the_command_rotates_the_folder_that_the_settings_name(tmp_path: Path) -> None:
    put(tmp_path, "app.log", text="2026-11-01 long ago\n")
    put(tmp_path, "app.2026-10-01.log")
    ran = typed("rotate-logs", LOG_DIR=str(tmp_path))
    assert "app.log             becomes app.2026-11-01.log\n" in ran.stdout
    assert names(tmp_path) == ["app.2026-11-01.log"]


# -- loguru, loaded late


def loaded_after(code: str, folder: Path) -> str:
    """What a process of its own prints: `code` has the logger started, at `folder`."""
    started = f"from pathlib import Path; from src.run import logs; import sys; folder = Path({str(folder)!r}); "
    started += "logs.start(folder, level='INFO', secrets=['hunter2-and-more'], console_level='ERROR'); "
    ran = subprocess.run([sys.executable, "-c", started + code], cwd=ROOT, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_loguru_is_loaded_with_the_first_line_and_without_asyncio(folder: Path) -> None:
    seen = "print('loguru' in sys.modules, 'asyncio' in sys.modules)"
    assert loaded_after(seen, folder) == "False False"
    late = "from src.logger import logger; logger.info('hunter2-and-more'); "
    assert loaded_after(late + seen, folder) == "True False"
    assert (folder / "app.log").read_text(encoding="utf-8").endswith("***\n")
    then = "import asyncio; print(asyncio.run(asyncio.sleep(0, 'as ever')))"
    assert loaded_after(late + then, folder) == "as ever"


def test_code_of_a_project_that_logs_by_loguru_itself_says_no_secret_either(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("from loguru import logger\nlogger.info('hunter2-and-more')\n", "utf-8")
    loaded_after(f"from src.gold.model import load_module; load_module(Path({str(tmp_path / 'model.py')!r}))", folder)
    text = (folder / "app.log").read_text(encoding="utf-8")
    assert text.endswith("***\n") and "hunter2" not in text
