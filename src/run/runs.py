"""A run does its steps in order, blocks what depends on a failed one, and leaves a record of each.

The records are ordinary Delta tables: one row for the run and one for each of its steps, and one for
each audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from src import __version__, catalog, stopping
from src.checks.outcome import Outcome
from src.engine import DuckEngine
from src.engine.profile import Profile
from src.errors import BoathouseError, PartialError, TransientError, UsageError, translated
from src.logger import logger
from src.problems import Problem
from src.records import append as append
from src.records import columns_of as columns_of
from src.run import metering
from src.run.kinds import RunKind
from src.run.lock import Holder
from src.run.metering import Meter, Usage
from src.run.revision import Revision

if TYPE_CHECKING:
    from src.checks.audits import AuditResult
    from src.landing.records import Pull
    from src.masking.masks import Masks
    from src.run.releases import OldSource

TABLE = catalog.RUNS
AUDITS = "ops.quality_results"
PULLS = "ops.pulls"


@dataclass(frozen=True)
class Record:
    """One step of a run; the run itself is the step of layer `run`. Times in UTC, latency in seconds."""

    run_id: str
    layer: str
    domain: str
    table: str
    source_system: str
    run_date: date
    start_time: datetime
    end_time: datetime
    status: str  # success | partial | failed | blocked
    latency: float
    records_read: int = 0
    records_written: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    quarantined: int = 0
    deleted: int = 0
    partitions: int = 0
    files: int = 0
    version: int | None = None
    error_class: str | None = None
    error_message: str | None = None
    notes: str | None = None
    command: str | None = None  # of the run itself: what was typed
    bytes: int | None = None  # of the landed files taken
    predicted_rows: int | None = None  # what src/run/forecast.py expected of records_read
    predicted_seconds: float | None = None  # and of latency
    superseded: int = 0
    conflicts: int = 0
    releases: int | None = None  # of the run itself: how far ops.releases had counted when it ended
    kind: str | None = None  # of the run itself: one of RunKind
    full_refresh: bool | None = None  # of the run itself: whether every table was computed whole
    blocked_by: str | None = None  # the tables that a blocked step waits for
    error_where: str | None = None  # of error_message: where it happened
    error_fix: str | None = None  # and what to do about it
    product_version: str | None = None  # of the run itself: of the Boathouse that ran
    git_commit: str | None = None  # of the run itself: what the project's contracts and models stood at
    git_dirty: bool | None = None  # and whether some of them were changed and not committed
    removed: int = 0  # stored rows that a newer statement lacks; they are none of those that were read
    started_by: str | None = None  # of the run itself: who started it (src/author.py)
    forgotten: int = 0  # rows that were held back as those of somebody who was forgotten

    @property
    def table_id(self) -> str:
        """Return the table of the step; `run` for the run itself."""
        return self.layer if self.layer == "run" else f"{self.layer}.{self.domain}.{self.table}"


@dataclass(frozen=True)
class Expected:
    """The rows a step is expected to read and the seconds to take, by the runs before; None: no forecast."""

    rows: int | None = None
    seconds: float | None = None
    bytes: int | None = None  # of the landed files it takes


@dataclass(frozen=True)
class Audited:
    """One audit of one run, as src/checks/audits.py found it; `run_time` in UTC."""

    run_id: str
    run_time: datetime
    table: str
    rule: str
    column: str | None
    operator: str
    bound: str
    value: float | None
    unit: str
    severity: str
    passed: bool
    rows: int
    samples: str | None
    description: str


@dataclass(frozen=True)
class Window:
    """The business days that a run answers for, both ends included."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


def window(today: date, run_date: date | None, days: int | None) -> Window:
    """Return the window of a run: `days` (7) up to the run date (yesterday).

    Raises:
        UsageError: a run date to come, or less than one day.
    """
    end = run_date or today - timedelta(days=1)
    if end > today:
        raise UsageError(f"run date {end} is to come", fix=f"give a day up to {today}")
    if days is not None and days < 1:
        raise UsageError(f"{days} days to reprocess", fix="give 1 or more")
    return Window(end - timedelta(days=(days or 7) - 1), end)


_RETRIES = (0.2, 1.0, 5.0)  # seconds to wait before a transient failure is tried again


@dataclass(frozen=True)
class Begun:
    """One step of a run that has begun; `blocked_by`: the steps that it waits for, and which will not be."""

    table_id: str
    started: datetime
    expected: Expected
    blocked_by: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Done:
    """The result of a step's work, as it ended; `usage`: what it took of the machine."""

    outcome: Outcome
    error: Exception | None
    usage: Usage
    ended: datetime


class Watch(Protocol):
    """Somebody who watches the steps of a run."""

    def begun(self, step: str, moment: datetime) -> None:
        """Take notice of a step that begins."""

    def over(self, record: Record) -> None:
        """Take notice of a step that is over."""


def _no_masks() -> Masks:
    from src.masking.masks import NONE  # where something is quoted: importing takes time

    return NONE


@dataclass
class Run:
    """One run: its steps so far, and what failed. `clock` returns the time in UTC.

    `expect` says what a step is expected to do: it is asked before the step, and with its outcome after one that took
    files, of which it then knows; last for "run", the run itself.
    """

    run_id: str
    window: Window
    clock: Callable[[], datetime]
    command: str
    kind: RunKind
    full_refresh: bool = False
    expect: Callable[[str, Outcome | None], Expected] = lambda step, outcome: Expected()
    revision: Revision | None = None  # the commit that the project's contracts and models stand at
    masks: Callable[[], Masks] = _no_masks  # of the project's tables: what records and logs must not quote
    relative: Callable[[str], str] = str  # returns a message with paths in the project relative to it
    started_by: str = ""
    planned: int | None = None  # how many steps it will do, where that is known
    watch: Watch | None = None
    profile: Profile | None = None  # of the statements, which it tells the step of
    records: list[Record] = field(default_factory=list)
    failures: dict[str, BoathouseError | Exception] = field(default_factory=dict)
    blocked: dict[str, tuple[str, ...]] = field(default_factory=dict)  # table id: what it waits for
    unclaimed: list[str] = field(default_factory=list)  # seeds, and files in the landing zone, that no feed takes
    landing_seen: bool = False  # whether it was looked at
    landing: Problem | None = None  # that the landing zone is empty where files came before
    not_set_up: dict[str, str] = field(default_factory=dict)  # pulls that were not tried: step, and name of the source
    audits: list[Audited] = field(default_factory=list)
    rewritten: dict[str, tuple[int, int]] = field(default_factory=dict)  # table id: versions with the same rows
    mostly_rejected: dict[str, str] = field(default_factory=dict)  # table id: how many rows of a small load
    pulls: list[Pull] = field(default_factory=list)  # the slices that sources were asked for
    old_sources: dict[str, tuple[OldSource, ...]] = field(default_factory=dict)  # by gold table: what it read of before
    usages: list[tuple[Record, Usage]] = field(default_factory=list)  # what each step took of the machine

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.meter = Meter()

    def step(
        self, table_id: str, work: Callable[[], Outcome], *, needs: Iterable[str] = (), source: str = ""
    ) -> Record:
        """Do one step unless a step it needs failed or is blocked; an error becomes a failure of the run.

        Raises:
            KeyboardInterrupt: a stop was asked for.
        """
        begun = self.begin(table_id, needs=needs, source=source)
        return self.end(begun, None if begun.blocked_by else self.attempt(table_id, work))

    def begin(self, table_id: str, *, needs: Iterable[str] = (), source: str = "") -> Begun:
        """Begin one step, all that it needs being over.

        Raises:
            KeyboardInterrupt: a stop was asked for.
        """
        stopping.check()
        expected = self._expected(table_id)
        started = self.clock()
        if self.profile:
            self.profile.step = table_id
        if self.watch:
            self.watch.begun(table_id, started)
        failed = tuple(need for need in needs if need in self.failures or need in self.blocked)
        return Begun(table_id, started, expected, failed, source)

    def attempt(self, table_id: str, work: Callable[[], Outcome]) -> Done:
        """Do the work of a step; in any thread, as nothing of the run is touched.

        Raises:
            KeyboardInterrupt: a stop was asked for.
        """
        used: list[Usage] = []
        with metering.metered(used):
            outcome, error = _attempt(table_id, work)
        return Done(outcome, error, used[0], self.clock())

    def end(self, begun: Begun, done: Done | None) -> Record:
        """Count a step that is over: its failure, its audits, its record. None: it was blocked."""
        table_id, expected = begun.table_id, begun.expected
        if done is None:
            self.blocked[table_id] = begun.blocked_by
            done = Done(Outcome(), None, Usage(), self.clock())
        outcome, error = self._without_values(table_id, done.outcome, done.error)
        if outcome.refusals:
            error = _together(outcome.refusals)
        if outcome.mostly_rejected:
            self.mostly_rejected[table_id] = f"{outcome.quarantined} of {outcome.read} rows were rejected"
        self._keep_audits(table_id, _audits_of(error) or outcome.audits)
        if error:
            self.failures[table_id] = error
            _log_failure(table_id, error)
        record = self._record(begun, done.ended, outcome, error)
        if outcome.files:
            expected = self._expected(table_id, outcome)
        record = _with(record, expected)
        self.records.append(record)
        self.usages.append((record, done.usage))
        if self.watch:
            self.watch.over(record)
        if not error:
            logger.info(describe(record))
        return record

    def finish(self) -> Record:
        """Close the run with its own record: the latency from the start of its first step to the end of its last."""
        steps = self.steps
        good = [step for step in steps if step.status == "success"]
        status = "success" if len(good) == len(steps) else "partial" if good else "failed"
        error = self.error()
        record = Record(
            run_id=self.run_id,
            layer="run",
            domain="",
            table="",
            source_system="",
            run_date=self.window.end,
            start_time=self.started,
            end_time=self.clock(),
            status=status,
            latency=(self.clock() - self.started).total_seconds(),
            records_read=_processed(steps),
            records_written=sum(step.records_written for step in steps),
            quarantined=sum(step.quarantined for step in steps),
            error_class=getattr(error, "error_class", "bug") if error else None,
            error_message=self.relative(str(error)) if error else None,
            notes="\n".join([f"window {self.window}", *([self.landing.what] if self.landing else [])]),
            command=self.command,
            kind=self.kind,
            full_refresh=self.full_refresh,
            error_where=self._relative(getattr(error, "where", None)),
            error_fix=self._relative(getattr(error, "fix", None)),
            product_version=__version__,
            git_commit=self.revision.commit if self.revision else None,
            git_dirty=self.revision.dirty if self.revision else None,
            started_by=self.started_by or None,
        )
        record = _with(record, self._expected("run"))
        self.records.append(record)
        logger.info("run {}: {}, {:,} records, {:.1f} s", self.run_id, status, record.records_read, record.latency)
        return record

    def counted(self, releases: int) -> None:
        """Note in the run's own record how many releases there were before its own: clocks do not tell."""
        self.records[-1] = replace(self.records[-1], releases=releases)

    def note(self, lines: Iterable[str]) -> None:
        """Add lines to the notes of the run's own record."""
        own = self.records[-1]
        self.records[-1] = replace(own, notes="\n".join([*(own.notes or "").splitlines(), *lines]) or None)

    @property
    def steps(self) -> list[Record]:
        """Return the records of this run's own steps; that of a run found dead is not among them."""
        return [record for record in self.records if record.run_id == self.run_id and record.layer != "run"]

    def error(self) -> Exception | None:
        """Return the error the run ends with: its one failure, or a PartialError; None if all went well."""
        if not self.failures:
            return None
        causes = list(self.failures.values())
        if any(step.status == "success" for step in self.steps) or len({type(cause) for cause in causes}) > 1:
            lines = [_error_text(name, cause).splitlines()[0] for name, cause in self.failures.items()]
            lines += [f"{name}: blocked, waits for {', '.join(causes)}" for name, causes in self.blocked.items()]
            done = sum(step.status == "success" for step in self.steps)
            total = f"{done} of {done + len(self.failures) + len(self.blocked)} steps done"
            return PartialError(f"{total}\n  " + "\n  ".join(lines), fix="see the messages above; then run again")
        return causes[0]

    def interrupted(self, holder: Holder) -> None:
        """Record that an earlier run died before it wrote its records."""
        since = datetime.fromisoformat(holder.since)
        self.records.append(
            Record(
                run_id=holder.run_id,
                layer="run",
                domain="",
                table="",
                source_system="",
                run_date=since.date(),
                start_time=since,
                end_time=self.started,
                status="failed",
                latency=0.0,
                error_class="interrupted",
                error_message=f"{holder.command} (process {holder.pid} on {holder.host}) ended without a word",
                command=holder.command,
            )
        )

    def _without_values(
        self, table_id: str, outcome: Outcome, error: Exception | None
    ) -> tuple[Outcome, Exception | None]:
        """Return what came of a step so that nothing of it quotes a masked value, before it is recorded or logged."""
        if not (error or outcome.refusals or outcome.notes or outcome.conflict_notes or outcome.audits):
            return outcome, error
        masks = self.masks().of_table(table_id)
        if masks is None:
            return outcome, error
        from src.masking import concealing  # where something is quoted: importing takes time

        return concealing.concealed_outcome(outcome, masks), error and concealing.concealed_error(error, masks)

    def _expected(self, step: str, outcome: Outcome | None = None) -> Expected:
        """Return what a step is expected to do; nothing once the records of the past cannot be read."""
        try:
            return self.expect(step, outcome)
        except BoathouseError as error:  # no run fails for want of a forecast
            logger.warning("nothing is predicted: {}", error)
            self.expect = lambda step, outcome: Expected()
            return Expected()

    def _keep_audits(self, table_id: str, audits: Iterable[AuditResult]) -> None:
        for audit in audits:
            self.audits.append(Audited(self.run_id, self.clock(), table_id, **vars(audit)))
            if not audit.passed and audit.severity == "warning":
                from src.checks.audits import describe

                logger.warning("{}: {}", table_id, describe(audit))

    def _record(self, begun: Begun, ended: datetime, outcome: Outcome, error: Exception | None) -> Record:
        layer, domain, table = begun.table_id.split(".")
        waits = ", ".join(begun.blocked_by)
        return Record(
            run_id=self.run_id,
            layer=layer,
            domain=domain,
            table=table,
            source_system=begun.source,
            run_date=self.window.end,
            start_time=begun.started,
            end_time=ended,
            status="blocked" if waits else "failed" if error else "success",
            latency=(ended - begun.started).total_seconds(),
            records_read=outcome.read,
            records_written=outcome.written,
            inserted=outcome.inserted,
            updated=outcome.updated,
            unchanged=outcome.unchanged,
            duplicates=outcome.duplicates,
            superseded=outcome.superseded,
            conflicts=outcome.conflicts,
            quarantined=outcome.quarantined,
            deleted=outcome.deleted,
            removed=outcome.removed,
            forgotten=outcome.forgotten,
            partitions=outcome.partitions,
            files=outcome.files,
            version=outcome.version,
            error_class=getattr(error, "error_class", "bug") if error else None,
            error_message=f"waits for {waits}" if waits else self.relative(str(error)) if error else None,
            notes=self._relative("\n".join((*outcome.conflict_notes, *outcome.notes)) or None),
            blocked_by=waits or None,
            error_where=self._relative(getattr(error, "where", None)),
            error_fix=self._relative(getattr(error, "fix", None)),
        )

    def _relative(self, text: str | None) -> str | None:
        return None if text is None else self.relative(text)


def _with(record: Record, expected: Expected) -> Record:
    rows, seconds = expected.rows, expected.seconds
    return replace(record, bytes=expected.bytes, predicted_rows=rows, predicted_seconds=seconds)


def _audits_of(error: Exception | None) -> tuple[AuditResult, ...]:
    """Return the results of audits that an error tells of."""
    if error is None:
        return ()
    from src.checks.audits import AuditError  # where something failed: importing takes time

    return error.audits if isinstance(error, AuditError) else ()


def _together(refusals: Sequence[BoathouseError]) -> BoathouseError:
    """Return several refused inputs as one error of their class that names each."""
    if len(refusals) == 1:
        return refusals[0]
    fix = "fix these files or move them out of the landing zone; the others are taken, the tables below wait"
    return type(refusals[0])(f"{len(refusals)} files refused\n" + "\n".join(map(str, refusals)), fix=fix)


def _processed(steps: Sequence[Record]) -> int:
    """Return the rows that entered a run: those of the first layer that read any."""
    for layer in ("bronze", "silver", "gold"):
        if rows := sum(step.records_read for step in steps if step.layer == layer):
            return rows
    return 0


def describe(record: Record) -> str:
    """Return one step as one line, for the log and for a console that is no terminal."""
    name = record.table_id
    if record.status != "success":
        return f"{name}: {record.status}: {(record.error_message or '').splitlines()[0]}"
    counts = ("files", "inserted", "updated", "unchanged", "duplicates", "superseded", "conflicts")
    parts = [
        f"{getattr(record, count):,} {count.rstrip('s') if getattr(record, count) == 1 else count}"
        for count in (*counts, "quarantined", "deleted", "forgotten", "removed", "partitions")
        if getattr(record, count)
    ]
    return f"{name}: {', '.join(parts) or 'no change'} ({record.latency:.2f} s)"


def _attempt(table_id: str, work: Callable[[], Outcome]) -> tuple[Outcome, Exception | None]:
    """Do the work; after a pause try again where the failure is transient."""
    for pause in (*_RETRIES, None):
        try:
            return work(), None
        except TransientError as error:
            if pause is None:
                return Outcome(), error
            logger.warning("{}: trying again in {} s: {}", table_id, pause, error)
            stopping.pause(pause)
        except Exception as error:  # a step's failure must not stop the steps that do not need it
            stopping.check()
            return Outcome(), translated(error)
    raise AssertionError("unreachable")


def _log_failure(table_id: str, error: Exception) -> None:
    if isinstance(error, BoathouseError):
        logger.error("{}", _error_text(table_id, error))
    else:
        logger.opt(exception=error).error("{}: a bug: {}: {}", table_id, type(error).__name__, error)


def _error_text(table_id: str, error: Exception) -> str:
    """Return an error's text with its table's name before it, once."""
    text = str(error)
    return text if text.startswith(table_id) else f"{table_id}: {text}"


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def write(engine: DuckEngine, data: Path, run: Run) -> None:
    """Append the records of a run's steps, the results of its audits, and what was asked of sources."""
    append(engine, data, TABLE, Record, run.records)
    append(engine, data, AUDITS, Audited, run.audits)
    if run.pulls:
        append(engine, data, PULLS, type(run.pulls[0]), run.pulls)
