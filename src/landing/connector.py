"""What a connector is: a module that knows how to ask one kind of source, and nothing of files, retries or records.

A module of src/landing/connectors has

    OPTIONS    what a contract may say of such a source, by name
    SECRETS    the credentials it needs, by name, each with a sentence: SOURCE_<NAME>_<KEY> in .env
    PACKAGES   the packages of requirements-connectors.txt that it imports, where it uses them
    slices     what it would ask for now
    fetch      ask for one slice and write the answer as it comes
    probe      try the credential by one cheap call

and, where they are needed,

    credentials(options)    those of SECRETS that these options ask for; without it all of them
    setting_prefix(options) how the names of the settings begin that it needs besides: of a remote of rclone; or None
    contradictions(options) what is wrong with options that are right one by one: each a text and its fix
    table_properties(options) which custom properties of the table go with them, columns as the source calls them
    pinned(options)         what decides the figures and is written beside each answer in ops.pulls, by name
    notices(options, today) what will go wrong on a day that is known, such as the end of an API's version

Its errors are those of src/errors.py: TransientError is tried again, AuthError stops the source (AccountError, of one
account, its other slices alone), and ContractError the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any, Protocol

from src.contract import Feed, Source
from src.errors import AuthError, TransientError
from src.settings import Settings


class NotYetError(TransientError):
    """The source says that a slice is not ready: no failure before its `readyAt`."""

    error_class = "not_yet"


class BusyError(TransientError):
    """The source asks to be left alone for so many seconds."""

    def __init__(self, what: str, *, seconds: float, where: object | None = None, fix: str | None = None) -> None:
        super().__init__(what, where=where, fix=fix)
        self.seconds = seconds


class AccountError(AuthError):
    """The credential may not read one account of a source: the others are asked all the same."""


def endless() -> float:
    """Return the seconds that are left of no budget."""
    return inf


@dataclass(frozen=True)
class Option:
    """One option of a connector: what to write, whether a value is that, and its default."""

    write: str
    fits: Callable[[Any], bool]
    default: Any = None
    required: bool = False


@dataclass(frozen=True)
class Account:
    """One account that a source is asked for by itself; `labels`: what its rows in a seed say of it, by column."""

    name: str
    labels: tuple[Mapping[str, str], ...] = field(default=(), hash=False)


@dataclass(frozen=True)
class Notice:
    """Something that will go wrong with a source on a day that is known, and what to do before."""

    what: str
    fix: str


@dataclass(frozen=True)
class Slice:
    """A part of a source that is asked for at once, and whose answer is one statement.

    `name` is where its files lie below the feed's landing folder, without their moment and ending: 2026-11-09 or
    101/2026-11-09. `day`: the business day it is about, where it is about one.

    `adds`: what is fetched comes on top of what landed before (the rows that changed since), so that an answer without
    rows lands nothing; else it is the whole statement, and one without rows is an empty statement.

    `any_order`: the order of the answer's lines says nothing, so that the same lines in another order are the same.
    `account`: whose it is, where a source is asked by accounts.
    """

    name: str
    day: date | None = None
    adds: bool = False
    any_order: bool = False
    account: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Landed:
    """One file that the stage landed: of which slice, when it was asked for, and where it lies."""

    slice: str
    pulled_at: datetime
    path: Path


@dataclass(frozen=True)
class Asked:
    """Everything that a connector may know: what the contract says, the credentials, the days, what landed before."""

    source: Source
    feed: Feed
    options: Mapping[str, Any]  # of the contract, with the defaults of the others
    secrets: Mapping[str, str]  # by the names in SECRETS
    start: date  # the business days that the pull answers for, both included
    end: date
    now: datetime  # the moment of the pull, UTC
    landed: Callable[[], Sequence[Landed]]  # of this feed, oldest first
    remembered: Callable[[str], Landed | None]  # by slice: what its last answer let the stage remember, a .gz
    seconds_left: Callable[[], float] = endless  # of the source's budget: no call may wait longer
    accounts: Sequence[Account] = ()  # of the option `accounts`, in its order
    backfill: bool = False  # a person named the first day: what landed is asked for again
    settings: Settings | None = None  # of the project, for what is no credential of a source: rclone's remotes

    @property
    def days(self) -> list[date]:
        """Return the business days that the pull answers for, the oldest first."""
        return [self.start + timedelta(days=n) for n in range((self.end - self.start).days + 1)]


class Answer(Protocol):
    """One answer, which a connector writes a piece at a time: one file of the landing zone.

    A connector whose source has files copies them into `folder()` instead, and lets each `keep` its name.
    """

    requests: int  # calls that the answer took; a connector adds to it where that says something

    def write(self, data: bytes) -> None:
        """Take the next bytes of the answer."""

    def unchanged(self) -> None:
        """Say that the slice is as its newest file has it, which the source told without its rows being read.

        Only of a slice that has a file, one of `Asked.landed`.
        """

    def named(self, name: str) -> None:
        """Let the file carry another name than the slice's: one that only the answer tells, such as its time range."""

    def remember(self, data: bytes) -> None:
        """Take the next bytes of what the slice's next fetch has to know, such as a list of keys.

        It becomes a hidden file beside the feed's, which no reader takes: landed after the answer's own file, so that a
        crash between the two makes the next fetch do it again; also where the answer has no rows. It takes the place of
        the slice's last one.
        """

    def folder(self) -> Path:
        """Return a hidden folder of the landing zone, empty at first, for files that keep their names."""

    def keep(self, name: str) -> None:
        """Let a file of `folder()`, once it is there whole, land under its name."""

    def target(self, name: str) -> Path:
        """Return where a file of that name lies, or would lie, in the landing zone."""


class Forgotten:
    """An answer that nobody keeps: of a probe, only the calls are counted."""

    requests = 0


class Connector(Protocol):
    """A module of src/landing/connectors, as the stage sees it."""

    OPTIONS: Mapping[str, Option]
    SECRETS: Mapping[str, str]
    PACKAGES: Sequence[str]

    def slices(self, asked: Asked) -> Sequence[Slice]:
        """Return what a pull asks for, in this order; asks the source nothing that costs, or nothing at all."""

    def fetch(self, asked: Asked, part: Slice, answer: Answer) -> int:
        """Write what the source says of a slice to `answer`; return the rows.

        Raises:
            NotYetError: the slice is not ready.
            TransientError: worth trying again, as is a lost connection.
            AuthError: a credential was refused; names it.
            AccountError: it was refused for the slice's account alone.
            ContractError: the source has not what the contract asks for.
        """

    def probe(self, asked: Asked) -> str:
        """Try the credential by one cheap call; return in a few words what answered."""
