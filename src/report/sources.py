"""The sources that contracts name, as one reads them: what each brings, when it last answered, whether it would now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from src import console
from src.contract import Feed
from src.errors import BoathouseError
from src.landing import pull, records, registry
from src.landing.connector import Notice
from src.project import Project
from src.run import pulling
from src.run.runs import Window


@dataclass(frozen=True)
class Credential:
    """A setting that a source asks for, and what it is."""

    name: str
    set: bool
    sentence: str


@dataclass(frozen=True)
class SourceStatus:
    """One feed that a source brings. `answer`: of one cheap call; None: none was made. Moments in UTC.

    `notices`: what its connector says will go wrong on a day that is known, and what to do.
    `set_up` False: none of its settings is there and it never answered, so that no run asks it.
    """

    source: str
    connector: str
    feed: str
    last_success: datetime | None
    newest_slice: str | None
    newest_day: date | None
    last_status: str | None
    credentials: tuple[Credential, ...]
    notices: tuple[Notice, ...]
    answer: str | None
    error: str | None
    set_up: bool = True

    @property
    def healthy(self) -> bool:
        """Return whether nothing is known to be wrong with it; nothing is with one that is not set up."""
        return not self.set_up or (self.error is None and all(one.set for one in self.credentials))


def read_sources(project: Project, window: Window, *, probe: bool) -> list[SourceStatus]:
    """Return every source feed; `probe`: try each by one cheap call.

    Raises:
        ContractErrors: what contracts say of sources is not what their connectors take.
    """
    feeds = pulling.sourced(list(project.contracts.feeds.values()))
    registry.check(feeds)
    stage = pulling.stage_of(project, window) if feeds else None
    known = _records(project) if feeds else {}
    _, left = pulling.by_set_up(project, feeds)
    return [
        _read(project, stage, feed, known.get(feed.id, _Record()), probe, feed not in left) for feed in feeds if stage
    ]


def print_sources(sources: Sequence[SourceStatus]) -> None:
    """Print one line for each source feed, and what is wrong below."""
    if not sources:
        print("No contract names a source; docs/pulling.md says how one does.")
        return
    headers = ("source", "connector", "feed", "last success (UTC)", "newest slice", "credentials", "answer")
    console.table(headers, [_row(one) for one in sources])
    for one in sources:
        if one.error:
            console.note(f"{one.feed}: {one.error}")
        for notice in one.notices:
            console.note(f"{one.feed}: {notice.what} -> {notice.fix}")
    needed: dict[str, dict[str, str]] = {}
    for one in sources:
        if not one.set_up:
            needed.setdefault(one.source, {}).update((each.name, each.sentence) for each in one.credentials)
    for source, settings in needed.items():
        names = ", ".join(f"{name} ({sentence})" for name, sentence in settings.items())
        console.note(f"{source} is not set up: set {names} in .env")


@dataclass(frozen=True)
class _Record:
    """The newest that ops.pulls has of one feed."""

    last_success: datetime | None = None
    newest_slice: str | None = None
    newest_day: date | None = None
    last_status: str | None = None


def _records(project: Project) -> dict[str, _Record]:
    if not pulling.publish(project):
        return {}
    answered = f"status IN {records.ANSWERED}"
    rows = project.engine.rows(
        f"SELECT feed, max(pulled_at) FILTER ({answered}), "
        "arg_max(slice, (day, pulled_at)) FILTER (status = 'landed'), "
        f"max(day) FILTER ({answered}), arg_max(status, pulled_at) FROM ops.pulls GROUP BY feed"
    )
    return {feed: _Record(*facts) for feed, *facts in rows}


def _read(project: Project, stage: pull.Stage, feed: Feed, known: _Record, probe: bool, set_up: bool) -> SourceStatus:
    assert feed.source, "a feed that a source brings"
    settings = {**project.settings.remotes, **project.settings.credentials}
    needed = [
        Credential(name, bool(settings.get(name, "").strip()), sentence)
        for name, sentence in registry.needed_settings(feed.source).items()
    ]
    answer, error = _answer(stage, feed) if probe and set_up else (None, None)
    return SourceStatus(
        source=feed.source.name,
        connector=feed.source.connector,
        feed=feed.id,
        last_success=known.last_success,
        newest_slice=known.newest_slice,
        newest_day=known.newest_day,
        last_status=known.last_status,
        credentials=tuple(needed),
        notices=tuple(registry.notices(feed.source, stage.clock().date())),
        answer=answer,
        error=error,
        set_up=set_up,
    )


def _answer(stage: pull.Stage, feed: Feed) -> tuple[str | None, str | None]:
    try:
        return pull.probe(stage, feed), None
    except BoathouseError as error:
        return None, " ".join(str(error).split())


def _row(one: SourceStatus) -> tuple[object, ...]:
    last = f"{one.last_success:%Y-%m-%d %H:%M}" if one.last_success else "never"
    names = [f"{each.name} {'set' if each.set else 'MISSING'}" for each in one.credentials]
    answer = one.answer or ("no: see below" if one.error else "not asked" if one.set_up else "not set up: see below")
    return one.source, one.connector, one.feed, last, one.newest_slice or "", ", ".join(names) or "none", answer
