"""The last queries of a project: what was asked, by whom, and when; kept beside the lake in .page/queries.json.

Written when a query is run, never when a screen is shown. What is lost with the file is a convenience.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from src.errors import from_os_error
from src.settings import struck

KEPT = 50
_LONGEST = 10_000  # characters of a query that is kept
_turn = threading.Lock()


@dataclass(frozen=True)
class Asked:
    """A query that was run; `at` is an ISO moment (UTC)."""

    sql: str
    who: str
    at: str


def read(data: Path) -> tuple[Asked, ...]:
    """Return the last queries, the newest first; none where the file is not there or is none of ours."""
    try:
        found = json.loads(_path(data).read_text(encoding="utf-8"))
        return tuple(Asked(str(one["sql"]), str(one["who"]), str(one["at"])) for one in found[:KEPT])
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def record(data: Path, sql: str, who: str, now: datetime, secrets: Sequence[str]) -> None:
    """Keep a query as the newest, once however often it is run; no credential of the settings is in what is kept.

    Raises:
        MachineError: the file cannot be written.
    """
    asked = Asked(struck(sql.strip(), secrets), who, now.isoformat(timespec="seconds"))
    if len(asked.sql) > _LONGEST:
        return
    path = _path(data)
    with _turn:
        rest = [one for one in read(data) if one.sql != asked.sql]
        part = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
                json.dump([asdict(one) for one in (asked, *rest)][:KEPT], out, ensure_ascii=False, indent=1)
            os.replace(part, path)
        except OSError as error:
            raise from_os_error(error, path) from error


def _path(data: Path) -> Path:
    return data / ".page" / "queries.json"
