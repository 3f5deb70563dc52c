"""How a cell's value is written as text: exactly, and in one way whatever program wrote the workbook.

- number: the shortest text that gives the same double, 1 and not 1.0; digits beyond a double's stay as they are
- truth: true, false
- date: 2024-01-31; date and time: 2024-01-31 05:17:00
- time of day: 05:17, a duration: 30:00 (hours and minutes); with seconds where there are some: 05:17:30.25

A day count is a date only where the cell's number format shows one. Times are written to the microsecond, beyond
which the day count of today's dates has no digits.
"""

from __future__ import annotations

import math
import re
from datetime import date, time, timedelta
from decimal import Decimal

NUMBER, DATE, DATETIME, TIME, DURATION, SOME_DATE = "number", "date", "datetime", "time", "duration", "some date"

_WHOLE = re.compile(r"-?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MOST_DIGITS = 17  # enough for every double; a text with more of them was never one
_DAY = 86_400_000_000  # microseconds


def number(text: str) -> str:
    """Return the number of a cell in its shortest text.

    Raises:
        ValueError: it is none.
    """
    if text.isascii() and text.isdecimal() and text[0] != "0":
        return text
    if _WHOLE.fullmatch(text):
        return str(int(text))
    if not (found := _DECIMAL.fullmatch(text)):
        raise ValueError(f"not a number: {text[:40]!r}")
    digits = found[1].replace(".", "").strip("0")
    value = float(text)
    if len(digits) > _MOST_DIGITS or math.isinf(value) or (value == 0 and digits):
        return text
    return shortest(value)


def shortest(value: float) -> str:
    """Return the shortest digits that give the same double; all places of a whole number, as JavaScript does."""
    text = repr(value)
    if "e+" in text and abs(value) < 1e21:
        return f"{Decimal(text):f}"
    return text.removesuffix(".0")


# -- number formats

_LITERAL = re.compile(r'"[^"]*"?|[\\_*].|\[\$[^\]]*\]', re.DOTALL)  # what a format shows as it stands, or skips
_BUILT_IN = {
    **dict.fromkeys([*range(14, 18)], DATE),
    **dict.fromkeys([*range(18, 22), 45, 47], TIME),
    22: DATETIME,
    46: DURATION,
    **dict.fromkeys([*range(27, 37), *range(50, 59)], SOME_DATE),  # East Asian: dates or times, as the program is set
}


def kind_of_built_in(number: int) -> str:
    """Return the kind of value that a built-in number format shows, by its number."""
    return _BUILT_IN.get(number, NUMBER)


def kind_of(code: str) -> str:
    """Return the kind of value that a number format shows, as its first section says."""
    section = _LITERAL.sub("", code).split(";")[0].lower()
    shown = re.sub(r"\[[^\]]*\]|general|standard", "", section)
    letters = shown.replace("am/pm", "").replace("a/p", "")
    elapsed = re.search(r"\[(h+|m+|s+)\]", section) is not None
    clock = elapsed or letters != shown or "h" in letters or "s" in letters
    day = "y" in letters or "d" in letters or ("m" in letters and not clock)
    if elapsed and not day:
        return DURATION
    if day:
        return DATETIME if clock else DATE
    return TIME if clock else NUMBER


# -- day counts


def moment(text: str, kind: str, *, from_1904: bool) -> str:
    """Return a day count as its cell's format shows it; a number where no calendar has such a day.

    Raises:
        ValueError: it is no number.
    """
    as_number = number(text)
    micros = _microseconds(as_number)
    whole, rest = divmod(micros, _DAY)
    if kind == DURATION:
        return duration(micros)
    if whole < 0 or (day := _day(whole, from_1904)) is None:
        return as_number
    if whole == 0 and kind in (TIME, SOME_DATE):
        return duration(micros)
    if not rest and kind in (DATE, SOME_DATE):
        return day
    return f"{day} {_clock(rest, seconds=True)}"


def duration(micros: int) -> str:
    """Return a span of microseconds as hours:minutes, with seconds where there are some."""
    return ("-" if micros < 0 else "") + _clock(abs(micros), seconds=False)


def time_of_day(clock: time, *, seconds: bool) -> str:
    """Return a time as hours:minutes, with seconds where there are some or they are wanted."""
    whole = (clock.hour * 60 + clock.minute) * 60 + clock.second
    return _clock(whole * 1_000_000 + clock.microsecond, seconds=seconds)


def _microseconds(text: str) -> int:
    """Return microseconds of a day count; whole milliseconds where its last digit cannot tell it from them.

    Programs write 15 digits, which tell 9 microseconds in these years, or 16, or the 17 that a double may need.
    """
    days = float(text)
    whole = math.floor(days)
    exact = (days - whole) * _DAY
    digits = max(15, sum(map(str.isdecimal, text)))
    noise = (math.ulp(days) + 10.0 ** (len(str(abs(whole))) - digits)) * _DAY
    millis = round(exact / 1000) * 1000
    return whole * _DAY + (millis if abs(millis - exact) <= noise else round(exact))


def _clock(micros: int, *, seconds: bool) -> str:
    """Return hours:minutes and, where there are some or they are wanted, seconds."""
    minutes, rest = divmod(micros, 60_000_000)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    if not rest and not seconds:
        return text
    text += f":{rest // 1_000_000:02}"
    fraction = f"{rest % 1_000_000:06}".rstrip("0")
    return f"{text}.{fraction}" if fraction else text


def _day(count: int, from_1904: bool) -> str | None:
    """Return the date of a day count, also where the cell shows one that no calendar has: 1900-01-00 and 1900-02-29."""
    if from_1904:
        first = date(1904, 1, 1)
    elif count in (0, 60):
        return "1900-02-29" if count else "1900-01-00"
    else:
        first = date(1899, 12, 31 if count < 60 else 30)
    try:
        return (first + timedelta(count)).isoformat()
    except OverflowError:
        return None
