"""A pull asks one feed's source for the slices that are due, and lands what is new; each source is alone in it.

What is due of a business day: the lookback of the source, which restates its days, and every day of the last month,
from the feed's first on, that has no file and no answer on record. So a day that failed, was not ready, or fell
into a time when no run was, is asked for until there is an answer; where no record was left, it is asked for again.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from src.checks.outcome import Outcome
from src.contract import Feed, Source
from src.errors import BoathouseError, TransientError, translated
from src.landing import accounts, patience, registry, seeds
from src.landing import options as written
from src.landing.conditions import Condition
from src.landing.connector import Account, AccountError, Asked, Connector, NotYetError, Slice
from src.landing.files import FeedFolder, FileAnswer, Statement, outcome
from src.landing.records import ANSWERED, FAILED, NOT_YET, Pull
from src.settings import Settings, struck

E = TypeVar("E", bound=Exception)
NONE_FITS = "no slice of it fits"  # of a feed, where only some slices are asked for
_HOLES = 31  # days in which a day without a file is asked for again
_IN_A_ROW = 3  # slices of an account that fail in passing before its others are left to the next run
_PROBE_SECONDS = 30.0
_SHORTEST_SECRET = 4  # characters: a shorter one would blot every message


@dataclass(frozen=True)
class Stage:
    """The days, settings and records that all pulls of a run have in common. `clock` returns the time in UTC.

    `start`: the first day that is asked for, whatever landed before; None: what is due. `answered`: by feed id and
    slice the status of its last answer. `chosen`: a pattern of the slices that are asked for; `where`: a condition that
    they fit.
    """

    settings: Settings
    clock: Callable[[], datetime]
    end: date
    start: date | None = None
    answered: Mapping[tuple[str, str], str] = field(default_factory=dict)
    chosen: str = "*"
    run_id: str = ""
    where: Condition | None = None

    @property
    def landing(self) -> Path:
        """Return the landing zone's folder."""
        return self.settings.data_dir / "landing"

    @property
    def is_narrowed(self) -> bool:
        """Return whether only some of the slices are asked for."""
        return self.chosen != "*" or self.where is not None


def accounts_of(settings: Settings, feed: Feed) -> tuple[Account, ...]:
    """Return the accounts that a feed's source is asked for; none where it is not asked by accounts.

    Raises:
        ContractError: they come from a seed that does not name them.
    """
    assert feed.source, "a feed that a source brings"
    written = registry.options(feed.source).get("accounts", ())
    return accounts.accounts(written, seeds.folder_of(settings.source, feed.domain))


def due(stage: Stage, feed: Feed) -> list[Slice]:
    """Return the slices that a pull of a feed would ask for; asks nothing.

    Raises:
        ContractError: a package is missing, or the feed's path does not take the files.
        AuthError: a credential is not set.
    """
    return _Puller(stage, feed).due()


def pull(stage: Stage, feed: Feed, pulls: list[Pull], *, patient: bool = True) -> Outcome:
    """Ask a feed's source for what is due and land what is new; add to `pulls` what became of each slice.

    Errors of the source are refusals of the outcome. `patient`: what fails in passing is tried again.
    """
    puller = None
    try:
        puller = _Puller(stage, feed)
        return puller.pull(pulls, patience.ATTEMPTS if patient else 1)
    except BoathouseError as error:
        return Outcome(refusals=(_without_secrets(error, puller.secrets if puller else stage.settings.secrets()),))


def probe(stage: Stage, feed: Feed) -> str:
    """Return in a few words what a source answered to one cheap call.

    Raises:
        BoathouseError: it did not, and why.
    """
    puller = _Puller(stage, feed)
    try:
        return struck(patience.within(_PROBE_SECONDS, puller.probe, lambda: None), puller.secrets)
    except Exception as error:
        raise _without_secrets(_ours(error), puller.secrets) from None


@dataclass
class _Puller:
    """The pull of one feed: its connector, and everything that this may know."""

    stage: Stage
    feed: Feed

    def __post_init__(self) -> None:
        source, settings = self.feed.source, self.stage.settings
        assert source, "a feed that a source brings"
        registry.check_packages(source, settings.root)
        self.source: Source = source
        self.connector: Connector = registry.connector(source.connector)
        self.options: dict[str, Any] = registry.options(source)
        self.credentials = registry.credentials(source, settings.credentials)
        self.accounts = accounts_of(settings, self.feed)
        self.secrets = (*_derived(self.credentials), *settings.secrets())
        self.folder = FeedFolder(self.stage.landing, self.feed)
        self.deadline = time.monotonic() + (written.seconds(self.options["budget"]) or 0)
        self.files = self.folder.landed()

    def due(self) -> list[Slice]:
        slices, again = self._slices(self._far()), self._lookback()
        known = {one.slice for one in self.files} | self._answered()
        first = min((part.day for part in slices if part.day and part.name in known), default=again)
        return [
            part
            for part in slices
            if part.day is None or part.day >= again or (part.day > first and part.name not in known)
        ]

    def pull(self, pulls: list[Pull], attempts: int) -> Outcome:
        self.folder.clean()
        total, errors, last_failed = Outcome(), list[BoathouseError](), False
        in_a_row: Counter[str] = Counter()  # slices that failed, by account: one that fails keeps no other out
        parts = self.due()
        if self.stage.is_narrowed and not parts:
            return Outcome(notes=(NONE_FITS,))
        for part in parts:
            if in_a_row[part.account] >= _IN_A_ROW:
                continue
            asked_at, began = self.stage.clock(), time.perf_counter()
            answer = FileAnswer(self.folder, part, asked_at, self.stage.settings.settle_seconds)
            try:
                rows, statements = self._fetch(part, answer, 1 if last_failed or in_a_row[part.account] else attempts)
            except NotYetError as error:
                total = total.plus(Outcome(notes=(self._not_yet(part),)))
                pulls.append(self._record(part, asked_at, began, answer, NOT_YET, error))
                continue
            except Exception as raised:
                found = _without_secrets(_ours(raised), self.secrets)
                pulls.append(self._record(part, asked_at, began, answer, FAILED, found))
                if not isinstance(found, BoathouseError):
                    raise found from None
                errors.append(_of_slice(found, part))
                last_failed = True
                in_a_row[part.account] += _IN_A_ROW if isinstance(found, AccountError) else 1
                if not isinstance(found, TransientError | AccountError) or self.seconds_left() <= 0:
                    break
                continue
            finally:
                answer.discard()
            last_failed = False
            del in_a_row[part.account]
            for one in statements:
                pulls.append(self._record(part, asked_at, began, answer, one.status, rows=rows, one=one))
            total = total.plus(outcome(statements, rows))
        return total.plus(Outcome(refusals=(_together(errors),))) if errors else total

    def probe(self) -> str:
        return self.connector.probe(self._asked(self.stage.end, self.stage.end))

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    def _lookback(self) -> date:
        """Return the first day of those that the source is asked for again each time."""
        return self.stage.start or self.stage.end - timedelta(days=self.options["lookback"] - 1)

    def _far(self) -> date:
        return self.stage.start or min(self._lookback(), self.stage.end - timedelta(days=_HOLES - 1))

    def _answered(self) -> set[str]:
        """Return the slices that have an answer on record: those whose files somebody moved away are among them."""
        last = self.stage.answered.items()
        return {name for (feed, name), status in last if feed == self.feed.id and status in ANSWERED}

    def _slices(self, start: date) -> list[Slice]:
        found = self.connector.slices(self._asked(start, self.stage.end))
        named = [part for part in found if fnmatch.fnmatchcase(part.name, self.stage.chosen)]
        return self.stage.where.fitting(named, self.accounts) if self.stage.where else named

    def _asked(self, start: date, end: date) -> Asked:
        return Asked(
            source=self.source,
            feed=self.feed,
            options=self.options,
            secrets=self.credentials,
            start=start,
            end=end,
            now=self.stage.clock(),
            landed=lambda: self.files,
            remembered=self.folder.remembered,
            seconds_left=self.seconds_left,
            accounts=self.accounts,
            backfill=self.stage.start is not None,
            settings=self.stage.settings,
        )

    def _fetch(self, part: Slice, answer: FileAnswer, attempts: int) -> tuple[int, list[Statement]]:
        """Return the rows of a slice, and what became of its answer."""
        day = part.day or self.stage.end
        asked = self._asked(day, day) if part.day else self._asked(self.stage.start or self._lookback(), self.stage.end)

        def once() -> int:
            answer.restart()
            return self.connector.fetch(asked, part, answer)

        def fetched() -> int:
            return patience.patiently(once, self.seconds_left, attempts)

        try:
            rows = patience.within(self.seconds_left(), fetched, answer.abandon)
        except NotYetError as error:
            ready = written.ready_at(self.options, day)
            if self.stage.clock() < ready:
                raise
            what = f"not ready, which it should have been {ready:%Y-%m-%d %H:%M %Z}: {error.what}"
            raise patience.GaveUpError(what, fix="ask the source, or set `readyAt` later") from error
        return rows, answer.finish()

    def _not_yet(self, part: Slice) -> str:
        ready = written.ready_at(self.options, part.day or self.stage.end)
        return f"{part.name} is not ready yet; no failure before {ready:%Y-%m-%d %H:%M %Z}"

    def _record(
        self,
        part: Slice,
        asked_at: datetime,
        began: float,
        answer: FileAnswer,
        status: str,
        error: Exception | None = None,
        rows: int = 0,
        one: Statement | None = None,
    ) -> Pull:
        pinned = getattr(self.connector, "pinned", None)
        return Pull(
            run_id=self.stage.run_id,
            source=self.source.name,
            connector=self.source.connector,
            feed=self.feed.id,
            slice=(one.name if one else None) or part.name,
            day=part.day,
            pulled_at=asked_at,
            status=status,
            rows=rows,
            bytes=one.bytes if one else 0,
            sha256=one.sha256 if one else None,
            file=self.folder.relative(one.path) if one and one.path else None,
            requests=answer.requests,
            seconds=round(time.perf_counter() - began, 3),
            error_class=getattr(error, "error_class", "bug") if error else None,
            error_message=struck(str(error), self.secrets) if error else None,
            pinned=json.dumps(pinned(self.options)) if pinned else None,
        )


def _ours(error: Exception) -> Exception:
    """Return what a connector raised as an error of ours; what nobody foresaw stays a bug."""
    if isinstance(error, ConnectionError | TimeoutError):
        return TransientError(f"{type(error).__name__}: {error}", fix="run again later")
    return translated(error)


def _without_secrets(error: E, secrets: Sequence[str]) -> E:
    """Return an error that names no secret; what it came from is left to the log, which strikes them."""
    if isinstance(error, BoathouseError):
        error.what = struck(error.what, secrets)
        error.where = None if error.where is None else struck(error.where, secrets)
        error.fix = None if error.fix is None else struck(error.fix, secrets)
    error.args = tuple(struck(value, secrets) if isinstance(value, str) else value for value in error.args)
    return error


def _of_slice(error: BoathouseError, part: Slice) -> BoathouseError:
    error.what = f"{part.name}: {error.what}"
    return error


def _together(errors: Sequence[BoathouseError]) -> BoathouseError:
    """Return what failed as one error: the last of the gravest, and how many slices did."""
    gravest = sorted(errors, key=_weight)[-1]
    if len(errors) > 1:
        gravest.what += f" (and {len(errors) - 1} other {'slice' if len(errors) == 2 else 'slices'})"
    return gravest


def _weight(error: BoathouseError) -> int:
    """Return how much stands still for an error: nothing for long, an account, or the source."""
    return 0 if isinstance(error, TransientError) else 1 if isinstance(error, AccountError) else 2


def _derived(credentials: Mapping[str, str]) -> list[str]:
    """Return the credentials, and how a user and a password go together in a header, as texts to strike."""
    user, password = credentials.get("USER"), credentials.get("PASSWORD")
    together = [base64.b64encode(f"{user}:{password}".encode()).decode()] if user and password else []
    return [*together, *(value for value in credentials.values() if len(value) >= _SHORTEST_SECRET)]
