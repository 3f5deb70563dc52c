"""A finding of what would save, and what it is looked for in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from src import catalog, lake
from src.contract import Table
from src.project import Project
from src.run import costs, history, spending

DAYS = 30  # that seconds and landed bytes are counted over, and a month has
_LEAST_DAYS = 7  # of records; a month is not told from fewer
EFFORTS = (
    "low",
    "middle",
    "high",
)  # a command; a line of a contract or a word to a source; a table built in another way
PRIORITIES = ("high", "middle", "low")


@dataclass(frozen=True)
class Finding:
    """One thing that would save: bytes that need not be stored, or seconds of processor in a month, with the evidence.

    `id` is the same as long as kind and table are.
    """

    kind: str  # files | history | unread | whole | unchanged | columns
    table: str
    bytes: int
    cpu_seconds: Decimal
    evidence: str  # the figures it comes from
    fix: str
    effort: str  # low: a command | middle: a line of a contract, a word to a source | high: a table built another way

    @property
    def id(self) -> str:
        """Return the name by which it is dismissed: its kind and table."""
        return f"{self.kind}:{self.table}"


@dataclass(frozen=True)
class Least:
    """Below which nothing is a finding: bytes and seconds a month, and the share of the lake's that either must be."""

    bytes: int = 1_000_000
    seconds: int = 60
    share: float = 0.01


@dataclass(frozen=True)
class Whole:
    """The whole lake: bytes it stores, and seconds of processor it takes in a month."""

    bytes: int
    cpu_seconds: Decimal

    def share(self, finding: Finding) -> float:
        """Return the greater part that a finding is of the lake: of its bytes or of its seconds."""
        of_bytes = finding.bytes / self.bytes if self.bytes else 0.0
        of_seconds = float(finding.cpu_seconds / self.cpu_seconds) if self.cpu_seconds else 0.0
        return max(of_bytes, of_seconds)


@dataclass
class Looking:
    """One look for savings at `now` (UTC); reads only."""

    project: Project
    now: datetime
    least: Least = Least()

    @cached_property
    def today(self) -> date:
        """Return the day of the look, in the project's time zone."""
        return costs.local_day(self.project, self.now)

    @cached_property
    def has_costs(self) -> bool:
        """Return whether anything is recorded; `ops.cost_daily` is readable then."""
        return spending.publish(self.project, self.today)

    @cached_property
    def has_runs(self) -> bool:
        """Return whether any run is recorded; `ops.pipeline_runs` is readable then."""
        return history.publish(self.project.engine, self.project.settings.data_dir)

    @cached_property
    def days(self) -> int:
        """Return how many of the last 30 complete days are recorded; 0 where these are too few to tell a month from."""
        if not self.has_costs:
            return 0
        oldest = self.project.engine.one(f"SELECT min(day) FROM ops.cost WHERE day <= DATE '{self.today}'")[0]
        days = min((self.today - oldest).days, DAYS) if oldest else 0
        return days if days >= _LEAST_DAYS else 0

    @property
    def too_young(self) -> str:
        """Return why a month cannot be told from the records; "" where it can."""
        return "" if self.days and self.has_runs else f"less than {_LEAST_DAYS} days of runs are recorded"

    @property
    def since(self) -> date:
        """Return the first of these days."""
        return self.today - timedelta(days=self.days)

    def monthly(self, figure: Decimal | int) -> Decimal:
        """Return what a figure of these days is in a month."""
        return Decimal(figure) * DAYS / self.days

    @cached_property
    def seconds(self) -> Mapping[str, Decimal]:
        """Return by table the seconds of processor that its steps take in a month; empty where that is not known."""
        if not self.days:
            return {}
        rows = self.project.engine.rows(
            f"SELECT \"table\", sum(cpu_seconds) FROM ops.cost_daily WHERE day >= DATE '{self.since}' "
            f"AND day < DATE '{self.today}' GROUP BY 1"
        )
        return {name: self.monthly(seconds) for name, seconds in rows}

    @cached_property
    def stored(self) -> Mapping[str, int]:
        """Return by table what it weighs: live, history and backups."""
        if not self.has_costs:
            return {}
        return dict(
            self.project.engine.rows(
                'SELECT "table", live_bytes + history_bytes + backup_bytes FROM ops.cost_daily '
                f"WHERE day = DATE '{self.today}' AND live_bytes IS NOT NULL"
            )
        )

    @cached_property
    def tables(self) -> Mapping[str, lake.Snapshot]:
        """Return the newest version of every table on disk."""
        found = catalog.tables(self.project.settings.data_dir)
        return {name: table for name, root in found.items() if (table := lake.open_table(root))}

    @property
    def declared(self) -> Iterable[Table]:
        """Return the tables of silver and gold, those of gold with their sources."""
        return (*self.project.contracts.silver.values(), *self.project.marts)

    @cached_property
    def whole(self) -> Whole:
        """Return what the whole lake weighs and takes."""
        return Whole(sum(self.stored.values()), sum(self.seconds.values(), Decimal(0)))
