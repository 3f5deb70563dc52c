"""The log: one file a day kept 14 days, the console one line a message, and never a secret in either."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROOT
from loguru import logger

from src.errors import EnvironmentFault
from src.observe import logs

SECRET = "hunter2-and-more"
SAY = """
import sys
from pathlib import Path
from src.observe import logs
logs.start(Path(sys.argv[1]), level="INFO", secrets=[], console_level="ERROR")
from loguru import logger
logger.info(sys.argv[2])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A log folder that is not there yet; afterwards nothing is logged any more."""
    yield tmp_path / "some" / "logs"
    logger.remove()
    logger.configure(patcher=lambda record: None)


def start(folder: Path, *secrets: str, console_level: str = "INFO") -> None:
    logs.start(folder, level="INFO", secrets=secrets, console_level=console_level)


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
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in capsys.readouterr().err.splitlines()]
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


def test_a_folder_that_cannot_be_made_is_an_environment_fault(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where the logs should be", encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="exists"):
        start(folder)


# -- rotation, by short processes


def say(folder: Path, text: str) -> None:
    """Log one line from a process of its own, as every command is."""
    subprocess.run([sys.executable, "-c", SAY, str(folder), text], cwd=ROOT, check=True)


def age(path: Path, days: float, *, marked: bool = True) -> None:
    """Make a log file as old as if the clock had gone on: loguru goes by its mark, else by the last write."""
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    with suppress(OSError):  # a file system without extended attributes
        if marked:
            os.setxattr(path, "user.loguru_crtime", str(then).encode())
        else:
            os.removexattr(path, "user.loguru_crtime")


def messages(path: Path) -> list[str]:
    return [line.rsplit(" | ", 1)[1] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("marked", [True, False])
def test_the_first_process_of_a_day_begins_a_new_file_and_the_others_go_on_with_it(folder: Path, marked: bool) -> None:
    say(folder, "yesterday, early")
    say(folder, "yesterday, late")
    assert messages(folder / "app.log") == ["yesterday, early", "yesterday, late"]
    age(folder / "app.log", 1, marked=marked)
    say(folder, "today, early")
    say(folder, "today, late")
    assert messages(folder / "app.log") == ["today, early", "today, late"]
    [old] = set(folder.iterdir()) - {folder / "app.log"}
    yesterday = time.strftime("%Y-%m-%d", time.localtime(time.time() - 86_400))
    assert old.name.startswith(f"app.{yesterday}")
    assert messages(old) == ["yesterday, early", "yesterday, late"]


def test_files_older_than_14_days_are_removed_when_a_new_day_begins(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, days in (("app.old.log", 15), ("app.recent.log", 13), ("app.log", 1), ("theirs.log", 99)):
        (folder / name).write_text(f"{name}\n", encoding="utf-8")
        age(folder / name, days)
    say(folder, "today")
    left = sorted(path.name for path in folder.iterdir())
    assert left[0].startswith("app.2")  # yesterday's
    assert left[1:] == ["app.log", "app.recent.log", "theirs.log"]
    assert messages(folder / "app.log") == ["today"]
