"""What the screen of a table shows, for the page and for the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from markupsafe import Markup

from src.errors import BoathouseError
from src.facts import Facts, KnownCause, State, TableFacts
from src.facts import table as facts_of
from src.facts.samples import read_sample
from src.facts.table import Declaration
from src.maintenance import quarantine
from src.masking.masks import Masks
from src.page import lines
from src.page.drawing import trend
from src.project import Project
from src.reads import Reading
from src.run import releases

QUARANTINED = 50  # rows of a quarantine that are shown
_LONGEST = 400  # characters of a rejected row's text
T = TypeVar("T")


@dataclass(frozen=True)
class Query:
    """A few lines to copy."""

    title: str
    code: str
    hint: str = ""


def content(
    project: Project, facts: Facts, table_id: str, depth: int, link: lines.Link, masks: Masks
) -> dict[str, Any]:
    """Return the values that the table's template needs; a part that cannot be read is a text in `unreadable`.

    Raises:
        UsageError: there is no such feed or table.
    """
    declared = facts_of.read_declaration(project, table_id)
    table, today = facts.tables[table_id], facts.read_at.date()
    unreadable: dict[str, str] = {}

    def attempt(part: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except BoathouseError as error:
            unreadable[part] = error.what
            return None

    rows = attempt("rows", lambda: facts_of.read_rows_by_day(project, table_id, today))
    released = table.standing.version if table.standing else None
    return {
        "table": table,
        "declared": declared,
        "contract_path": shown_path(declared, project),
        "why": why(table),
        "root": f"{project.settings.root}/",  # taken off the paths in messages
        "causes": causes_of(facts, table),
        "line": lines.of_tables(facts, lines.around(facts, table_id, depth), link, table_id, table.domain),
        "depth": depth,
        "deeper": len(lines.around(facts, table_id, depth + 1)) > len(lines.around(facts, table_id, depth)),
        "trend": trend.drawn(rows, "rows") if rows and len(rows) > 1 else Markup(""),
        "days": [today - timedelta(days=back) for back in range(facts_of.DAYS - 1, -1, -1)],
        "audits": attempt("audits", lambda: facts_of.read_audits(project, table_id, today)) or (),
        "steps": attempt("steps", lambda: facts_of.read_steps(project, table_id)) or (),
        "arrivals": attempt("arrivals", lambda: facts_of.read_arrivals(project, table_id, today)),
        "rejected": attempt("quarantine", lambda: _rejected(project, table_id, masks)),
        "sample": attempt("sample", lambda: read_sample(project, table_id, released, masks)),
        "queries": queries(project, table),
        "hidden": "",
        "made": {},  # by column its origin, where the screen shows it
        "unreadable": unreadable,
    }


def tell(reading: Reading, table_id: str, values: Mapping[str, Any]) -> None:
    """Say which rows are among the values that a table's screen shows."""
    sample, rejected = values["sample"], values["rejected"]
    if sample:
        reading.of_table(table_id, sample.columns, len(sample.rows))
    if rejected:
        reading.of_table(quarantine.name_of(table_id), quarantine.SHOWN, len(rejected.rows))


def why(table: TableFacts) -> list[tuple[str, str]]:
    """Return what a table's state is made of: lines of a label and a text."""
    step, standing = table.last_step, table.standing
    if not table.readable:
        return [("", "its newest version cannot be read; `make check` names the damage")]
    if table.state is State.FAILED and step:
        found = [("", (step.error_message or "").partition("\n")[0])]
        found += [("where", step.error_where)] if step.error_where else []
        return found + ([("fix", step.error_fix)] if step.error_fix else [])
    if table.state is State.BLOCKED and step:
        return [("", f"its last step was not done: it waits for {step.blocked_by or 'a failed table'}")]
    if table.state is State.HELD_BACK and standing:
        return [("", releases.describe(standing).removeprefix(f"{table.id} "))]
    if table.state is State.EMPTY and table.layer == "models":
        name = table.id.partition(".")[2]
        return [("", f"no version is trained yet: `main.py train --model {name}` trains one")]
    if table.state is State.EMPTY:
        return [("", "it is not built yet: nothing has landed for it, or no run has come to it")]
    grade = table.freshness
    if table.state is State.STALE and grade and grade.age_hours is not None:
        reach = f", its rows reach {grade.business_until:%Y-%m-%d %H:%M}" if grade.business_until else ""
        return [("", f"{grade.age_hours:,.0f} hours old, promised are {grade.limit_hours:g}{reach}")]
    if table.state is State.STALE:
        return [("", "nothing has landed for longer than ever before")]
    if standing and standing.version is not None:
        return [("", f"readers see the newest version{f', of run {standing.as_of}' if standing.as_of else ''}")]
    return [("", "built")]


def causes_of(facts: Facts, table: TableFacts) -> list[tuple[int, KnownCause]]:
    """Return the causes that a table's state belongs to, each with its number among all, from 1."""
    step, standing = table.last_step, table.standing
    through = {table.id, *(standing.held_by if standing and standing.cause else ())}
    through |= {one.strip() for one in (step.blocked_by or "").split(",")} if step else set()
    found = []
    for number, known in enumerate(facts.causes, 1):
        own = any(problem.subject == table.id for problem in known.cause.findings)
        if own or known.cause.head.subject in through:
            found.append((number, known))
    return found


def shown_path(declared: Declaration, project: Project) -> str:
    """Return the path of a contract below the project's folder."""
    path, root = declared.contract, project.settings.root
    if path is None:
        return ""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def queries(project: Project, table: TableFacts) -> list[Query]:
    """Return how to read a table elsewhere, at the version that readers see."""
    path = project.path(table.id).absolute()
    version = table.standing.version if table.standing else None
    at = "" if version is None else f", version={version}"
    at_duckdb = "" if version is None else f", version => {version}"
    hint = "" if version is None else f"Version {version} is the released one; without it you read the newest."
    return [
        Query("SQL, here", f"make query SQL='SELECT * FROM {table.id} LIMIT 10'", "As of the last release."),
        Query("polars", f'import polars as pl\n\npl.scan_delta("{path}"{at}).head(10).collect()', hint),
        Query(
            "DuckDB",
            f"INSTALL delta; LOAD delta;\nSELECT * FROM delta_scan('{path}'{at_duckdb}) LIMIT 10;",
            hint,
        ),
        Query(
            "Power BI",
            f'let\n    Source = DeltaLake.Table(Folder.Contents("{path}"))\nin\n    Source',
            "Get data > Blank query > Advanced editor; the path as this machine, or the share, has it.",
        ),
    ]


@dataclass(frozen=True)
class _Rejected:
    total: int
    rows: list[quarantine.RejectedRow]


def _rejected(project: Project, table_id: str, masks: Masks) -> _Rejected | None:
    layer, _, name = table_id.partition(".")
    found = project.table(f"quarantine.{name}") if layer == "silver" else None
    if found is None or not found.rows:
        return None
    data = project.settings.data_dir
    select = masks.select_in(project.engine)
    return _Rejected(found.rows, quarantine.read_rows(project.engine, data, table_id, QUARANTINED, select, _LONGEST))
