"""SQL: one's own question over the last release, its answer as table and chart, to take away.

An address carries a query and shows it; only the form runs it. So no link and no other site makes the machine work, and
whoever is sent one reads the question before it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from src import catalog, lake
from src.facts import Facts, TableFacts
from src.page import asking, queries
from src.page.app import Page, form_of, page_of
from src.page.asking import Answer, Job, QuestionError, Taken
from src.page.drawing import answers
from src.page.sending import sent, while_connected
from src.run import releases, runs

_LONGEST_LINK = 4_000  # characters of a query that an address carries
_LISTED = 12  # of the last queries


@dataclass(frozen=True)
class _Asked:
    """A question of a form, and what came of it."""

    sql: str
    answer: Answer | None = None
    error: QuestionError | None = None
    fields: Mapping[str, str] | None = None


def show(request: Request) -> Response:
    """Return the screen with the query of the address, not run; where no query could be, with why."""
    page, sql = page_of(request), request.query_params.get("q", "")[:_LONGEST_LINK]
    try:
        asking.refuse_bucket(page.look.settings.data_dir)
    except QuestionError as error:
        return _screen(request, page, _Asked(sql, error=error))
    return _screen(request, page, _Asked(sql))


async def ask(request: Request) -> Response:
    """Run the query of a form, and return its answer: a screen, or a file to take away."""
    page, fields = page_of(request), await form_of(request)
    sql, form = fields.get("sql", ""), fields.get("take", "")
    settings, job = page.look.settings, Job()
    try:
        asking.refuse_bucket(settings.data_dir)
        if not page.readonly:
            await run_in_threadpool(queries.record, settings.data_dir, sql, page.who, runs.now(), settings.secrets())
        if form in asking.FORMATS:
            taken = await while_connected(request, job, lambda: _taken(page, sql, form, job))
            return sent(taken, form, f"query-{runs.now():%Y%m%d-%H%M%S}")
        answer = await while_connected(request, job, lambda: _answer(page, sql, job))
        asked = _Asked(sql, answer, fields=fields)
    except QuestionError as error:
        asked = _Asked(sql, error=error, fields=fields)
    return await run_in_threadpool(_screen, request, page, asked)


def names(request: Request) -> Response:
    """Return the tables of the release with their columns, and the names of records, for the completion."""
    data = page_of(request).look.settings.data_dir
    found: dict[str, list[str]] = {name: [] for name in _records(data)}
    for name, version in releases.newest(data).items():
        table = lake.open_table(lake.table_path(data, name), version)
        found[name] = list(table.columns) if table else []
    return JSONResponse({"tables": found})


def _answer(page: Page, sql: str, job: Job) -> Answer:
    data = page.look.settings.data_dir
    with page.reading() as reading:
        return asking.ask(data, sql, releases.newest(data), page.look.masks(), job, reading=reading)


def _taken(page: Page, sql: str, form: str, job: Job) -> Taken:
    data = page.look.settings.data_dir
    with page.reading("export") as reading:
        return asking.take(data, sql, releases.newest(data), page.look.masks(), form, job, reading)


def _screen(request: Request, page: Page, asked: _Asked) -> Response:
    settings, facts, fields = page.look.settings, page.look.facts(), asked.fields or {}
    return page.show(
        request,
        "sql.html",
        facts=facts,
        sql=asked.sql,
        answer=asked.answer,
        error=asked.error,
        **_drawn(asked.answer, fields),
        notes=_notes(settings.data_dir, asked.answer.reads) if asked.answer else (),
        masked=asked.answer.masked if asked.answer else None,
        link=f"/sql?{urlencode({'q': asked.sql})}" if 0 < len(asked.sql) <= _LONGEST_LINK else "",
        last=[(one, _moment(one.at), f"/sql?{urlencode({'q': one.sql})}") for one in _last(settings.data_dir)],
        tables=sorted(_released(facts), key=lambda table: table.id),
        records=_records(settings.data_dir),
        limits={"rows": asking.ROWS, "seconds": asking.SECONDS, "kinds": answers.KINDS, "formats": asking.FORMATS},
    )


def _released(facts: Facts) -> list[TableFacts]:
    return [table for table in facts.tables.values() if table.standing and table.standing.version is not None]


def _records(data: Path) -> list[str]:
    """Return the records, their views and the models: what is read at its newest and not as a release has it."""
    return sorted(name for name in catalog.readable(data) if not catalog.is_released(name))


def _last(data: Path) -> tuple[queries.Asked, ...]:
    return tuple(one for one in queries.read(data) if len(one.sql) <= _LONGEST_LINK)[:_LISTED]


def _notes(data: Path, reads: Collection[str]) -> list[str]:
    """Return what the reader of an answer has to know of the tables it is made of, as the terminal says it."""
    release = releases.newest_release(data)
    behind = [releases.describe(release.behind[name]) for name in sorted(release.behind.keys() & set(reads))]
    drafts = sorted(release.drafts & set(reads))
    return behind + [f"{name} is a draft: it may change under one version" for name in drafts]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _drawn(answer: Answer | None, fields: Mapping[str, str]) -> dict[str, Any]:
    if answer is None:
        return {"chart": None, "choice": None}
    chosen = answers.choice(answer, fields.get("kind", ""), fields.get("x", ""), fields.get("y", ""))
    return {"chart": answers.drawn(answer, chosen), "choice": chosen}


ROUTES = [
    Route("/sql", show),
    Route("/sql", ask, methods=["POST"]),
    Route("/sql/names", names),
]
