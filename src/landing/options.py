"""The options that every source has, and how times and spans are written in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

from src.landing.connector import Option

_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}
_READY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d) (\S+)")


def seconds(value: object) -> float | None:
    """Return the seconds of a span such as `90 s`, `10 min` or `2 h`; None where it is none."""
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(found[1]) * _SECONDS[found[2]] if found else None


def is_span(value: object) -> bool:
    """Return whether a value is a span of time that is longer than nothing."""
    return bool(seconds(value))


def is_count(value: object, least: int = 0) -> bool:
    """Return whether a value is a whole number of at least so many; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_word(value: object) -> bool:
    """Return whether a value is text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_url(value: object) -> bool:
    """Return whether a value is an http(s) URL with a host."""
    if not is_word(value):
        return False
    try:
        parts = urlsplit(str(value))
    except ValueError:  # such as a bracket without its other
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_ready_at(value: object) -> bool:
    from zoneinfo import ZoneInfo

    found = _READY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return False
    try:
        return bool(ZoneInfo(found[3]))
    except (KeyError, OSError, ValueError):  # not on the list of zones, a folder of it, or no name at all
        return False


def ready_at(options: Mapping[str, Any], day: date) -> datetime:
    """Return when a business day has to be ready: at `readyAt` of the next day, else once that day is over (UTC)."""
    if options.get("readyAt") is None:
        return datetime.combine(day + timedelta(days=2), time(), UTC)
    from zoneinfo import ZoneInfo

    found = _READY.fullmatch(options["readyAt"].strip())
    assert found, "a value that was checked"
    return datetime.combine(day + timedelta(days=1), time(int(found[1]), int(found[2])), ZoneInfo(found[3]))


def _is_account(value: object) -> bool:
    return is_word(value) or is_count(value)


def _is_accounts(value: object) -> bool:
    if isinstance(value, dict):
        where = value.get("where", {})
        complete = {"seed", "account"} <= set(value) <= {"seed", "account", "where"}
        filters = isinstance(where, dict) and all(is_word(one) for pair in where.items() for one in pair)
        return complete and is_word(value["seed"]) and is_word(value["account"]) and filters
    return isinstance(value, list) and bool(value) and all(map(_is_account, value))


# Of a connector that asks for each account by itself; src/landing/accounts.py reads it.
ACCOUNTS = Option(
    "a list of accounts, or those of a seed: {seed: <its name>, account: <the column>, where: {<column>: <value>}}",
    _is_accounts,
    (),
)
COMMON: Mapping[str, Option] = {
    "readyAt": Option('when a day is ready, on the next day: "14:00 America/Los_Angeles"', _is_ready_at),
    "lookback": Option("how many days are asked for again, 1 or more", lambda value: is_count(value, 1), 1),
    "budget": Option("how long the source may take: 90 s, 10 min or 2 h", is_span, "15 min"),
}
