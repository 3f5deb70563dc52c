"""The daily report: one Markdown file and one HTML page that opens anywhere, offline, for the day it is written on.

The same lake at the same moment gives the same bytes; a report that says nothing new is not written again. Reports of
more than KEPT_DAYS before are removed: their figures are in the ops tables. Which ones is read from their names alone,
so that no other file in the folder is touched, whatever its age.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from src import store
from src.errors import from_os_error
from src.facts import wording
from src.report import monthly, pages, sections
from src.report.monthly import Monthly
from src.report.pages import Page
from src.report.summary import Summary

KEPT_DAYS = 90
_NAME = re.compile(r"\d{4}-\d\d-\d\d\.(md|html)")


@dataclass(frozen=True)
class Written:
    """The two files of a report, and those of them that changed."""

    markdown: Path
    html: Path
    changed: tuple[Path, ...]
    removed: tuple[Path, ...]  # old reports


def write(summary: Summary, folder: Path) -> Written:
    """Write the report of a summary to `<day>.md` and `<day>.html` in a folder; a file that says the same is left.

    Old reports are removed. Nothing else changes: looking at a lake must not change what the next look finds.

    Raises:
        MachineError: there is no writing in `folder`.
    """
    day = summary.read_at.date()
    return _write(sections.page(summary), folder, str(day), day)


def write_month(found: Monthly, folder: Path) -> Written:
    """Write the report of a month to `month-<month>.md` and `.html` in a folder, as `write` does; they are kept.

    Raises:
        MachineError: there is no writing in `folder`.
    """
    return _write(monthly.page(found), folder, f"month-{found.month:%Y-%m}", found.read_at.date())


def _write(page: Page, folder: Path, name: str, today: date) -> Written:
    markdown, html = folder / f"{name}.md", folder / f"{name}.html"
    texts = {markdown: pages.markdown(page), html: pages.html(page)}
    changed = [path for path, text in texts.items() if _written(path, text.encode())]
    return Written(markdown, html, tuple(changed), tuple(_remove_old(folder, today)))


def print_written(verdict: str, written: Written) -> None:
    """Print the verdict of a report and the files that were written."""
    print(f"report: {verdict}")
    for path in written.changed:
        print(f"wrote {path}")
    if not written.changed:
        print("0 changed")
    if written.removed:
        print(f"removed {wording.pluralized(len(written.removed), 'file')} of reports older than {KEPT_DAYS} days")


def _remove_old(folder: Path, today: date) -> Iterator[Path]:
    """Remove the reports of more than KEPT_DAYS before; yield those that went. A clock that went back removes fewer."""
    for path in sorted(folder.iterdir()):
        try:
            day = date.fromisoformat(path.stem) if _NAME.fullmatch(path.name) and path.is_file() else today
        except ValueError:
            continue  # no day of the calendar
        if (today - day).days > KEPT_DAYS:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise from_os_error(error, path) from error
            yield path


def _written(path: Path, content: bytes) -> bool:
    """Replace a file in one step, so that nobody opens half a page; return False where it is the same already."""
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, content)
    except OSError as error:
        raise from_os_error(error, path) from error
    return True
