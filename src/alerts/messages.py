"""Messages: a few lines of text for each incident, all of one update in one notification.

A channel that cannot be reached never stops anything: it is logged, without what is secret in its URL, and
the message is tried again with the next update. A message is delivered once one channel took it: another one
that is down for weeks must not repeat it there with every update.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from src.alerts.incidents import Incident
from src.logger import logger
from src.settings import Settings, struck

if TYPE_CHECKING:
    from apprise import NotifyBase

_ALONE: Mapping[str, str] = {}  # no incident follows from another
_NAMED = 3  # of those that follow from another
_MOST = 20  # texts written out in one notification; services cut long texts, some in silence
_LONGEST = 300  # characters of a line
_SHORTEST_SECRET = 3


@dataclass(frozen=True)
class Message:
    """One incident as it is sent."""

    incident: str
    event: str  # the notice: opened, escalated, reminded or recovered
    urgency: str
    day: date
    what: str
    fix: str
    since: datetime
    until: datetime  # when the notice was made
    tried: bool  # in vain, with an earlier update

    @property
    def title(self) -> str:
        """Return urgency, event and incident in one line."""
        return f"{self.urgency} {self.event}: {self.incident}"

    @property
    def text(self) -> str:
        """Return urgency and source, business day, what was found, and the fix (or how long it lasted), a line each."""
        lines = [self.title, f"  day:  {self.day}"]
        if self.event == "recovered":
            lines += [f"  was:  {self.what}", f"  open: {_moment(self.since)} to {_moment(self.until)} UTC"]
        else:
            lines += [f"  what: {self.what}", f"  fix:  {self.fix}"]
        return "\n".join(line if len(line) <= _LONGEST else line[:_LONGEST] + " ..." for line in lines)


def channels(settings: Settings) -> tuple[str, ...]:
    """Return the URLs of ALERT_URLS; none where it is not set."""
    return tuple(settings.alert_urls.text.split()) if settings.alert_urls else ()


def compose(incident: Incident) -> Message:
    """Return the message of an incident whose notice is due."""
    assert incident.due and incident.due_at
    return Message(
        incident=incident.incident,
        event=incident.due,
        urgency=incident.urgency,
        day=incident.day,
        what=incident.what,
        fix=incident.fix,
        since=incident.since,
        until=incident.due_at,
        tried=incident.tried,
    )


@dataclass(frozen=True)
class Text:
    """The messages of one cause as one text: that of the cause itself where it is due, else of the most urgent."""

    head: str  # the incident that the others follow from
    first: Message
    others: tuple[Message, ...] = ()

    @property
    def title(self) -> str:
        """Return the first message's title with the highest urgency of all, and how many more there are."""
        more = f", and {len(self.others)} more" if self.others else ""
        return f"{self.urgency} {self.first.event}: {self.first.incident}{more}"

    @property
    def urgency(self) -> str:
        """Return how urgent the most urgent of its messages is."""
        return min(message.urgency for message in (self.first, *self.others))

    @property
    def text(self) -> str:
        """Return the first message's text, with what follows from it, or what it follows from itself."""
        lines = [self.first.text]
        names = ", ".join(message.incident for message in self.others[:_NAMED])
        names += ", ..." if len(self.others) > _NAMED else ""
        if self.first.incident != self.head:
            lines.append(f"  of:   {self.head}")
        if self.others:
            what = "follows" if len(self.others) == 1 else "follow"
            lines.append(f"  and {len(self.others)} more that {what} from it: {names}")
        return "\n".join(lines)


def send(urls: Sequence[str], messages: Sequence[Message], heads: Mapping[str, str] = _ALONE) -> list[Message]:
    """Send all messages as one notification to every channel (apprise URLs); return them if one channel took it.

    `heads`: of incidents the one that each follows from; those of one are one text. Never raises for a channel: what
    cannot be sent, or is no apprise URL, is logged.
    """
    if not urls or not messages:
        return []
    ordered = sorted(messages, key=lambda message: (message.urgency, message.since, message.incident))
    texts = _texts(ordered, heads)
    title, body, kind = _title(texts), _body(texts), _kind(ordered)
    taken = [_notified(number, url, title, body, kind) for number, url in enumerate(urls, 1)]
    return list(messages) if any(taken) else []


def url_errors(urls: Sequence[str]) -> list[str]:
    """Return a line for each URL of ALERT_URLS that is no channel, by its number: a URL may hold a secret."""
    return [f"ALERT_URLS, URL {number}: {error}" for number, url in enumerate(urls, 1) if (error := _opened(url)[1])]


def _texts(messages: Sequence[Message], heads: Mapping[str, str]) -> list[Text]:
    """Return the messages by what they follow from, in the order of the first of each; those that are over apart."""
    by_head: dict[tuple[str, bool], list[Message]] = {}
    for message in messages:
        key = heads.get(message.incident, message.incident), message.event == "recovered"
        by_head.setdefault(key, []).append(message)
    texts = []
    for (head, _), found in by_head.items():
        first = next((message for message in found if message.incident == head), found[0])
        texts.append(Text(head, first, tuple(message for message in found if message is not first)))
    return texts


def _title(texts: Sequence[Text]) -> str:
    if len(texts) == 1:
        return f"Boathouse: {texts[0].title}"
    counts = Counter(text.first.event for text in texts)
    return f"Boathouse: {min(text.urgency for text in texts)}, " + ", ".join(
        f"{count} {event}" for event, count in counts.items()
    )


def _body(texts: Sequence[Text]) -> str:
    shown = [text.text for text in texts[:_MOST]]
    if more := len(texts) - _MOST if len(texts) > _MOST else 0:
        shown.append(f"and {more} more: see `main.py alerts list`")
    return "\n\n".join(shown)


def _kind(messages: Sequence[Message]) -> str:
    """Return the kind of notification, from which a channel takes its colour."""
    problems = [message for message in messages if message.event != "recovered"]
    if not problems:
        return "success"
    return "failure" if problems[0].urgency in ("P1", "P2") else "warning"


def _notified(number: int, url: str, title: str, body: str, kind: str) -> bool:
    """Send to one channel; return whether the channel took it."""
    from apprise import Apprise, LogCapture, NotifyFormat, NotifyType

    channel, error = _opened(url)
    if channel is None:
        logger.error("alerts: URL {} of ALERT_URLS: {}", number, error)
        return False
    sender = Apprise()
    sender.add(channel)
    with LogCapture(level=logging.WARNING) as log:  # type: ignore[no-untyped-call]  # keeps the terminal free of it, too
        taken = sender.notify(body, title=title, notify_type=NotifyType(kind), body_format=NotifyFormat.TEXT)
        if not taken:
            why = struck(" ".join(_reasons(log.getvalue())), _secrets(url))
            logger.error("alerts: URL {} of ALERT_URLS ({}) took nothing: {}", number, channel.service_name, why)
    return bool(taken)


def _opened(url: str) -> tuple[NotifyBase | None, str]:
    """Return the channel of a URL, or what is wrong with the URL."""
    from apprise import Apprise, LogCapture

    schema, parted, _ = url.partition("://")
    if not parted:
        return None, "no URL; write schema://..., as docs/alerts.md shows"
    with LogCapture(level=logging.WARNING):  # type: ignore[no-untyped-call]
        channel = Apprise.instantiate(url)
    if channel is None:
        return None, f"not what an apprise URL {schema}:// looks like; see docs/alerts.md"
    return channel, ""


def _reasons(log: str) -> Iterator[str]:
    """Yield the lines that apprise logged, without their time stamps."""
    for line in log.splitlines():
        yield re.sub(r"^.* - [A-Z]+ - ", "", line)


def _secrets(url: str) -> list[str]:
    """Return every piece of a URL but its schema, the longest first: any of them may be a token."""
    pieces = re.split(r"[:/?&=@,]+", url.partition("://")[2])
    found = {form for piece in pieces for form in (piece, unquote(piece)) if len(form) >= _SHORTEST_SECRET}
    return sorted(found, key=lambda piece: (-len(piece), piece))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
