"""The daily report: one Markdown file and one HTML page that opens anywhere, offline, for the day it is written on.

The same lake at the same moment gives the same bytes; a report that says nothing new is not written again.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from src.errors import from_os_error
from src.project import Project
from src.report import pages, summary


def write(project: Project, now: datetime, folder: Path) -> tuple[Path, Path]:
    """Write the report of this moment (UTC) to `<day>.md` and `<day>.html` in a folder, and print what was written.

    Reads only, but for these two files: looking at a lake must not change what the next look finds.

    Raises:
        MachineError: there is no writing in `folder`.
    """
    page = summary.page(project, now)
    texts = {folder / f"{now:%Y-%m-%d}.md": pages.markdown(page), folder / f"{now:%Y-%m-%d}.html": pages.html(page)}
    changed = [path for path, text in texts.items() if _written(path, text.encode())]
    print(f"report: {page.verdict}")
    for path in changed:
        print(f"wrote {path}")
    if not changed:
        print("0 changed")
    markdown, html = texts
    return markdown, html


def _written(path: Path, content: bytes) -> bool:
    """Replace a file in one step, so that nobody opens half a page; False where it says the same already."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        os.replace(fresh, path)
    except OSError as error:
        raise from_os_error(error, path) from error
    return True
