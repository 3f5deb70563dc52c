"""What a value looks like: which forms of numbers, dates and truth it may be. What it is, silver's checks decide.

Here only candidates are found, from some values of a column; all of its values are then tried by the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

# Words that stand for no value where the others are numbers, dates or truth; compared in lower case.
# fmt: off
NULL_WORDS = frozenset((
    "", "na", "n/a", "n.a.", "n.a", "#n/a", "nan", "-nan", "null", "(null)", "<null>", "nil", "none", "\\n", "k.a.",
    "unknown", "missing", "not set", "(not set)", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "?",
))
# fmt: on

TRUTH = (  # as silver reads them; the words that must all be there, and their opposites
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
)


class Signs(NamedTuple):
    """The marks in numbers: the sign before a fraction, and the one between thousands."""

    decimal: str
    thousands: str


PLAIN = Signs(".", "")
SIGNS = (
    PLAIN,
    Signs(",", ""),
    Signs(".", ","),
    Signs(",", "."),
    Signs(".", " "),
    Signs(",", " "),
    Signs(".", "'"),
    Signs(",", "'"),
)
_EXPONENT = "([eE][+-]?[0-9]+)?"


def _number(signs: Signs) -> re.Pattern[str]:
    point = re.escape(signs.decimal)
    plain = rf"[+-]?([0-9]+({point}[0-9]*)?|{point}[0-9]+){_EXPONENT}"
    if not signs.thousands:
        return re.compile(plain)
    between = "[ \u00a0\u202f]" if signs.thousands == " " else re.escape(signs.thousands)
    return re.compile(rf"{plain}|[+-]?[0-9]{{1,3}}({between}[0-9]{{3}})+({point}[0-9]*)?")


def number_pattern(signs: Signs) -> str:
    """Return the pattern of numbers that are written so, for the engine."""
    return _number(signs).pattern


_NUMBERS = {signs: _number(signs) for signs in SIGNS}
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}([.,])[0-9]{3}(\1[0-9]{3})*")


@lru_cache(50_000)
def signs_of(value: str) -> frozenset[Signs]:
    """Return the ways of writing numbers in which a value is one."""
    return frozenset(signs for signs, pattern in _NUMBERS.items() if pattern.fullmatch(value))


def is_grouped(value: str) -> bool:
    """Return whether a number may have a sign between thousands where another reading is a fraction: 1.234."""
    return bool(_GROUPED.fullmatch(value))


# -- money and percent

_SIGN, _CODE = "[€$£¥₹]", "EUR|USD|GBP|CHF|SEK|NOK|DKK"
_AFFIX = re.compile(
    rf"(?P<before>{_SIGN}|(?:{_CODE}) ?)?\s?[+-]?[0-9.,' \u00a0\u202f]*[0-9][.,]?\s?(?P<after>{_SIGN}|%|{_CODE})?"
)
_SIGNED = re.compile(r"(?P<sign>[+-])(?P<before>[€$£¥₹])")


def affix_of(value: str) -> str | None:
    """Return the currency or percent sign that stands before or behind a number; None where there is none."""
    found = _AFFIX.fullmatch(_SIGNED.sub(r"\g<before>\g<sign>", value))
    if not found or bool(found["before"]) == bool(found["after"]):
        return None
    return (found["before"] or found["after"]).strip()


# -- dates and times

DATE, TIMESTAMP, TIME = "date", "timestamp", "time"  # as silver reads them without a word: the year first


class Form(NamedTuple):
    """A form of a date, or of a date and a time: what strptime calls it, the order of its parts, its pattern."""

    format: str  # or DATE, TIMESTAMP or TIME
    order: str
    has_time: bool
    pattern: str  # RE2 and Python know it

    @property
    def is_own(self) -> bool:
        """Return whether silver reads it without strptime."""
        return self.format in (DATE, TIMESTAMP, TIME)


_D, _M, _Y4, _Y2, _B = (
    "(?P<d>[0-9]{1,2})",
    "(?P<m>[0-9]{1,2})",
    "(?P<Y>[0-9]{4})",
    "(?P<y>[0-9]{2})",
    "(?P<b>[A-Za-z]{3})",
)
_BB = "(?P<B>[A-Za-z]{3,9})"
_PARTS = {"%d": _D, "%m": _M, "%Y": _Y4, "%y": _Y2, "%b": _B, "%B": _BB}
_DAYS = (
    *(f"%d{mark}%m{mark}%{year}" for mark in "./-" for year in "Yy"),
    *(f"%m{mark}%d{mark}%{year}" for mark in "/-" for year in "Yy"),
    *(f"%y{mark}%m{mark}%d" for mark in "/-"),
    *(f"%d{mark}%b{mark}%{year}" for mark in "-/ " for year in "Yy"),
    "%d %B %Y",
    "%d. %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y.%m.%d",
)
_TIMES = {
    "%H:%M": "[0-9]{1,2}:[0-9]{2}",
    "%H:%M:%S": "[0-9]{1,2}:[0-9]{2}:[0-9]{2}",
    "%H:%M:%S.%f": r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}",
    "%I:%M %p": "[0-9]{1,2}:[0-9]{2} [AaPp][Mm]",
    "%I:%M:%S %p": "[0-9]{1,2}:[0-9]{2}:[0-9]{2} [AaPp][Mm]",
    "%I:%M%p": "[0-9]{1,2}:[0-9]{2}[AaPp][Mm]",
}
_OWN_DAY = r"(?P<Y>[0-9]{4})[-/](?P<m>[0-9]{1,2})[-/](?P<d>[0-9]{1,2})"
_OWN_TIME = r"[ T][0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]+)?)?( ?(Z|UTC|GMT)|[+-][0-9]{2}(:?[0-9]{2})?)?"
_OWN_CLOCK = r"([01]?[0-9]|2[0-3]):[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,6})?)?"
_MIDNIGHT = r"[ T]00:00(:00(\.0*)?)?(Z|\+00(:?00)?)?"
_ZONED = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"
_COMPACT = "(?P<Y>(19|20)[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"


def _pattern(day: str) -> str:
    text = re.escape(day).replace("\\%", "%").replace("\\ ", " ").replace("\\-", "-").replace("\\/", "/")
    return re.sub("%[a-zA-Z]", lambda found: _PARTS[found[0]], text)


def _forms() -> list[Form]:
    forms = [
        Form(DATE, "ymd", False, f"{_OWN_DAY}({_MIDNIGHT})?"),
        Form(TIMESTAMP, "ymd", True, f"{_OWN_DAY}({_OWN_TIME})?"),
        Form(TIME, "time", True, _OWN_CLOCK),
        Form("%Y-%m-%d %H:%M:%S.%f %z", "ymd", True, rf"{_ZONED}\.[0-9]{{1,6}} [+-][0-9]{{2}}:?[0-9]{{2}}"),
        Form("%Y-%m-%d %H:%M:%S %z", "ymd", True, f"{_ZONED} [+-][0-9]{{2}}:?[0-9]{{2}}"),
        Form("%d/%b/%Y:%H:%M:%S %z", "dmy", True, f"{_pattern('%d/%b/%Y')}:[0-9:]{{8}} [+-][0-9]{{4}}"),
        Form("%Y%m%d", "ymd", False, _COMPACT),
    ]
    for day in _DAYS:
        order = "".join(dict.fromkeys(re.findall("%([a-zA-Z])", day))).lower().replace("b", "m")
        forms.append(Form(day, order, False, _pattern(day)))
        for between in (" ", ", ", "T"):
            forms += [
                Form(f"{day}{between}{time}", order, True, f"{_pattern(day)}{between}{pattern}")
                for time, pattern in _TIMES.items()
            ]
    return forms


FORMS = _forms()
_COMPILED = [(form, re.compile(form.pattern)) for form in FORMS]
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]


@lru_cache(50_000)
def forms_of(value: str) -> frozenset[Form]:
    """Return the forms of dates and times that a value has; of 01/02/2024 there are two."""
    if len(value) > 40 or len(value) < 4 or not any(letter.isdigit() for letter in value):
        return frozenset()
    return frozenset(form for form, pattern in _COMPILED if (found := pattern.fullmatch(value)) and _possible(found))


def _possible(found: re.Match[str]) -> bool:
    parts = found.groupdict()
    if not 1 <= int(parts.get("d") or 1) <= 31 or not 1 <= int(parts.get("m") or 1) <= 12:
        return False
    short, long = parts.get("b"), parts.get("B")
    if short and short.lower() not in (month[:3] for month in _MONTHS):
        return False
    return not long or long.lower() in _MONTHS


def in_common(values: Iterable[str]) -> list[Form]:
    """Return the forms that all values have, in the order of FORMS."""
    alive: frozenset[Form] | None = None
    for value in values:
        alive = forms_of(value) if alive is None else alive & forms_of(value)
        if not alive:
            return []
    return [form for form in FORMS if form in (alive or ())]
