"""What the monitors read: the newest release and the ops tables, and of a table's history the last ten weeks alone.

How many rows a business day has is known from the log where tables are partitioned by that day; else the one
column is read, and files whose footers say that they hold older days are passed over. A table that cannot be read
is a problem of its own, not the end of the monitoring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

from src import catalog, lake
from src.contract import Table
from src.engine import identifier, literal
from src.errors import BoathouseError
from src.masking.masks import Masks
from src.masking.reader import masks_of_everybody
from src.monitors import questions
from src.monitors.answers import Answers
from src.monitors.questions import NUMBER, ROWS, Question
from src.problems import Problem
from src.project import Project
from src.run import history, releases, runs

DAYS = 71  # ten weeks and today
GIVEN = "given"  # the name of a table that a question of a monitor reads
T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Business:
    """The business days of one version of a table; days to come are left out."""

    until: datetime | None  # how far its rows reach: the newest moment, or the end of the newest date (UTC)
    rows: Mapping[date, int]  # of each of the last DAYS days that has any

    def rests(self) -> frozenset[int]:
        """Return the weekdays (Monday is 0) without a row in the four weeks up to the newest day that has any.

        None where these weeks do not all go alike (every other weekday had rows in three of them or more): a table
        with few days, or old ones filled in later, says nothing of when its source rests.
        """
        last = max(self.rows, default=date.min)
        busy = [0] * 7
        for day in self.rows:
            busy[day.weekday()] += (last - day).days < 28
        alike = any(busy) and not {1, 2} & set(busy)
        return frozenset(day for day in range(7) if alike and not busy[day])


@dataclass
class Reading:
    """One look at a lake at `now` (UTC); every table is read once."""

    project: Project
    now: datetime
    damage: dict[str, Problem] = field(default_factory=dict)  # by table
    _ops: dict[str, bool] = field(default_factory=dict)
    _tables: dict[tuple[str, int | None], lake.Snapshot | None] = field(default_factory=dict)
    _business: dict[tuple[str, int], Business] = field(default_factory=dict)
    _given: str = ""  # the SELECT whose rows are in the table that `ask` was last given

    @cached_property
    def answers(self) -> Answers:
        """Return what earlier looks asked, and this one."""
        return Answers(self.project.settings.data_dir)

    def ask(self, sql: str, *tables: lake.Snapshot, given: str = "") -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT that reads one version of each of these tables and nothing else: no clock.

        `given`: a SELECT whose rows it reads as GIVEN; they are read from the tables once, and only if need be.
        """
        engine = self.project.engine

        def run() -> list[tuple[Any, ...]]:
            if given not in ("", self._given):
                engine.table(GIVEN, given)
                self._given = given
            return engine.rows(sql)

        return self.answers.rows(engine, f"{sql}\n{given}", tables, run)

    def answer(self, question: Question) -> list[tuple[Any, ...]]:
        """Return the answer to a question about one version of a table."""
        if not question.table.files:
            return []
        engine, data = self.project.engine, self.project.settings.data_dir
        return self.answers.rows(
            engine, question.text, [question.table], lambda: questions.ask(engine, data, [question])[0]
        )

    def known(self, question: Question) -> list[tuple[Any, ...]] | None:
        """Return the answer to a question about one version of a table if it was asked before."""
        return self.answers.find(self.project.engine, question.text, [question.table])

    def answer_together(self, asked: Iterable[Question | None]) -> None:
        """Ask many tables by as few statements as can be: `answer` then has the answers.

        What cannot be read is left to it, so that one table's damage is no other's.
        """
        engine, data = self.project.engine, self.project.settings.data_dir
        new = [one for one in asked if one and self.known(one) is None]
        for alike in questions.together(new):
            if len(alike) > 1:
                try:
                    found = questions.ask(engine, data, alike)
                except BoathouseError:
                    self._given = ""  # an error of the engine's own empties it
                    continue
                for one, rows in zip(alike, found, strict=True):
                    self.answers.take(engine, one.text, [one.table], rows)

    @property
    def today(self) -> date:
        """Return the day of the look (UTC)."""
        return self.now.date()

    @property
    def yesterday(self) -> date:
        """Return the last complete day (UTC)."""
        return self.today - timedelta(days=1)

    @property
    def since(self) -> date:
        """Return the first of the days that are looked at."""
        return self.today - timedelta(days=DAYS - 1)

    @cached_property
    def released(self) -> dict[str, int]:
        """Return the table versions of the newest release."""
        return releases.newest(self.project.settings.data_dir)

    @cached_property
    def masks(self) -> Masks:
        """Return the masks of what is recorded and told; what is measured is read as it is."""
        return masks_of_everybody(self.project)

    @property
    def declared(self) -> Iterator[Table]:
        """Yield every silver and gold table, those of gold with their sources."""
        yield from self.project.contracts.silver.values()
        yield from self.project.marts

    def publish(self, table_id: str) -> bool:
        """Make an ops table readable by its name; return False where there is none yet."""
        if table_id not in self._ops:
            self._ops[table_id] = bool(self.attempt(table_id, self._published, table_id))
        return self._ops[table_id]

    def _published(self, table_id: str) -> bool:
        if table_id == runs.TABLE:
            return history.publish(self.project.engine, self.project.settings.data_dir)
        return bool(catalog.publish(self.project.engine, {table_id: self.project.path(table_id)}))

    def table(self, table_id: str, version: int | None = None) -> lake.Snapshot | None:
        """Return a table at a version, by default the released one, else the newest; None if it is not built."""
        wanted = self.released.get(table_id) if version is None else version
        if (table_id, wanted) not in self._tables:
            root = self.project.path(table_id)
            try:
                found = lake.open_table(root, wanted)
            except lake.HistoryGone:
                found = lake.open_table(root)
            self._tables[table_id, wanted] = found
        return self._tables[table_id, wanted]

    def attempt(self, table_id: str, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | None:
        """Return the result of work on one table; None, and a problem, where the table cannot be read."""
        if table_id in self.damage:
            return None
        try:
            return work(*args, **named)
        except BoathouseError as error:
            self._given = ""  # an error of the engine's own empties it
            what = f"cannot be read: {str(error).splitlines()[0]}"
            fix = "`make check` names the damage; restore the table from the last verified backup"
            self.damage[table_id] = Problem("table", table_id, "P1", self.today, what, fix, unreadable=True)
            return None

    @cached_property
    def looked(self) -> dict[str, datetime]:
        """Return by table when a run last went through it, whether or not there was anything to do."""
        if not self.publish(runs.TABLE):
            return {}
        return dict(
            self.project.engine.rows(
                "SELECT table_id, max(end_time) FROM ops.pipeline_runs "
                f"WHERE status = 'success' AND layer <> 'run' AND start_time >= {sql_moment(self.since)} GROUP BY 1"
            )
        )

    def business(self, table: Table, snapshot: lake.Snapshot) -> Business | None:
        """Return the business days of a table; None where it has no business date, or no run has added it yet."""
        if table.business_date not in snapshot.columns:
            return None
        key = (table.id, snapshot.version)
        if key not in self._business:
            by_log = table.business_date in snapshot.partition_by
            self._business[key] = (self._from_log if by_log else self._from_rows)(table, snapshot)
        return self._business[key]

    def _from_log(self, table: Table, snapshot: lake.Snapshot) -> Business:
        rows: dict[date, int] = {}
        for file in snapshot.files:
            text = file.partition[str(table.business_date)]
            if text and (day := date.fromisoformat(text)) <= self.today:
                rows[day] = rows.get(day, 0) + file.rows
        until = day_start(max(rows) + timedelta(days=1)) if rows else None
        return Business(until, {day: count for day, count in rows.items() if day >= self.since})

    def _from_rows(self, table: Table, snapshot: lake.Snapshot) -> Business:
        name = str(table.business_date)
        column, is_date = identifier(name), snapshot.columns[name] == "DATE"
        found = self.answer(self._days_question(table, snapshot))
        if not is_date and any(row[2] > self.now for row in found):
            recent, until_now = (self.bound(snapshot, name, *edge) for edge in ((">=", self.since), ("<=", self.now)))
            select = f"SELECT {column}::DATE, count(*), max({column}) FROM {self.scan(snapshot)}"
            found = self.project.engine.rows(f"{select} WHERE {recent} AND {until_now} GROUP BY 1")
        older = [] if found else self.answer(self._last_question(table, snapshot))
        last = max([row[2] for row in found] or [at for (at,) in older], default=None)
        until = day_start(last + timedelta(days=1)) if last and is_date else last
        return Business(until, {day: count for day, count, _ in found})

    def _days_question(self, table: Table, snapshot: lake.Snapshot) -> Question:
        """Return what is asked of a table's business dates: rows and newest moment of each day.

        It is asked up to the end of today, so that the answer is the same all day as long as no row is dated to come.
        """
        name, tomorrow = str(table.business_date), self.today + timedelta(days=1)
        edges = ((">=", self.since), ("<", tomorrow))
        bounds = [self.bound(snapshot, name, *edge, of='"~at"') for edge in edges]
        select = f'SELECT {NUMBER}, "~at"::DATE, count(*), max("~at") FROM {ROWS} GROUP BY 1, 2'
        return Question(snapshot, select, {"~at": name}, where=" AND ".join(bounds))

    def _last_question(self, table: Table, snapshot: lake.Snapshot) -> Question:
        """Return what is asked of a table whose business dates are all older: the newest."""
        name = str(table.business_date)
        before = self.bound(snapshot, name, "<", self.since, of='"~at"')
        return Question(snapshot, f'SELECT {NUMBER}, max("~at") FROM {ROWS} GROUP BY 1', {"~at": name}, where=before)

    def ask_days(self) -> None:
        """Ask the tables as they are released for their business days, as far as rows tell them."""
        by_rows = [(table, found) for table in self.declared if (found := self.attempt(table.id, self._dated, table))]
        asked = [(*one, self._days_question(*one)) for one in by_rows]
        self.answer_together(question for *_, question in asked)
        older = [(table, found) for table, found, question in asked if self.known(question) == []]
        self.answer_together(self._last_question(*one) for one in older)

    def _dated(self, table: Table) -> lake.Snapshot | None:
        """Return a table as it is released, where its rows tell its business days."""
        found = self.table(table.id)
        if found is None or table.business_date not in found.columns or table.business_date in found.partition_by:
            return None
        return found if found.files else None

    def bound(
        self, snapshot: lake.Snapshot, column: str, sign: str, edge: date | datetime, of: str | None = None
    ) -> str:
        """Return SQL that compares a column with a moment in the column's own type, so that footers rule files out.

        `of`: SQL that is the column, where it has another name.
        """
        day = edge.date() if isinstance(edge, datetime) else edge
        right = f"DATE '{day}'" if snapshot.columns[column] == "DATE" else sql_moment(edge)
        return f"{of or identifier(column)} {sign} {right}"

    def scan(self, snapshot: lake.Snapshot, *, evolved: bool = False) -> str:
        """Return SQL that reads one version of a table; `evolved`: files may lack newer columns."""
        return self.project.engine.scan(snapshot, evolved=evolved)


def day_start(day: date) -> datetime:
    """Return the moment a day starts, in UTC."""
    return datetime.combine(day, time(), UTC)


def sql_moment(day: date | datetime) -> str:
    """Return a moment, or a day's start, as SQL that compares with dates and with timestamps."""
    return f"TIMESTAMPTZ {literal((day if isinstance(day, datetime) else day_start(day)).isoformat())}"
