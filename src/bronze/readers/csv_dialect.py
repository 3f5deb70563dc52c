"""How a CSV file marks its values: lines become records, and a line that cannot be split costs no other.

- A value is quoted if it begins with the quote, or with one blank and the quote; that blank, and blanks behind the
  closing quote, are no part of it.
- A quote anywhere else is a reason to reject the line, as RFC 4180 has it: a delimiter that is missing before a quoted
  value would move all values behind it. Files that do not quote say so in the contract (`quote: ""`).
- A blank line is no record, except in a file of one column, where it is an empty value.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from src.bronze.readers.records import Record
from src.contract import Feed

DELIMITERS = (",", ";", "\t", "|")  # the usual ones
_LONGEST_SEARCH = 16 << 20  # characters in which the end of a quoted value is looked for, beyond its first line


def dialect(feed: Feed) -> Dialect:
    """Return the dialect of a feed's files."""
    return Dialect(feed.delimiter, feed.quote, feed.escape)


@dataclass(frozen=True)
class Dialect:
    """The marks of one feed's files, and the patterns that follow from them."""

    delimiter: str
    quote: str  # '' for none
    escape: str  # before a quote within a quoted value: the quote itself, or another character

    @cached_property
    def _inside(self) -> str:
        """Return the pattern of what a quoted value holds. Possessive: it never gives back, so time stays linear."""
        quote, escape = re.escape(self.quote), re.escape(self.escape)
        if self.escape in ("", self.quote):
            return f"(?:[^{quote}]++|{quote}{quote})*+"
        return f"(?:[^{quote}{escape}]++|{escape}.)*+"

    @property
    def _before(self) -> str:
        """Return the pattern of the blank that may come before a quoted value: one, as DuckDB has it."""
        return "" if self.delimiter == " " else " ?"

    @property
    def _after(self) -> str:
        return "" if self.delimiter == " " else " *+"

    @cached_property
    def _value(self) -> re.Pattern[str]:
        """Return the pattern of one value up to the delimiter or the end: what is between quotes, or all of it."""
        quote, delimiter = re.escape(self.quote), re.escape(self.delimiter)
        quoted = f"{self._before}{quote}({self._inside}){quote}{self._after}"
        plain = f"([^{delimiter}{quote}]*+|[^{quote}]*?)"
        return re.compile(rf"(?:{quoted}|{plain})({delimiter}|\Z)", re.DOTALL)

    @cached_property
    def _begin(self) -> re.Pattern[str]:
        return re.compile(self._before + re.escape(self.quote))

    @cached_property
    def _open(self) -> re.Pattern[str]:
        """Return the pattern of a quoted value that the text ends in."""
        unfinished = "" if self.escape in ("", self.quote) else re.escape(self.escape) + "?"
        return re.compile(rf"{self._before}{re.escape(self.quote)}{self._inside}{unfinished}\Z", re.DOTALL)

    @cached_property
    def _closing(self) -> re.Pattern[str]:
        """Return the pattern of the rest of a quoted value, in a later line."""
        return re.compile(self._inside + re.escape(self.quote), re.DOTALL)

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return re.compile(f"{re.escape(self.escape)}(.)", re.DOTALL)

    def records(self, lines: Iterator[str], *, blank_lines: bool) -> Iterator[Record]:
        """Yield each record with its text; with `blank_lines`, a blank line is a record of one empty value."""
        ahead: deque[str] = deque()
        while line := ahead.popleft() if ahead else next(lines, ""):
            if self.quote and self.quote in line:
                yield self._quoted(line, ahead, lines)
            elif (text := line.rstrip("\r\n")) or blank_lines:
                yield text.split(self.delimiter), line

    def _quoted(self, line: str, ahead: deque[str], lines: Iterator[str]) -> Record:
        """Return the record that begins with this line. If a quote in it is misplaced, this line alone is given up."""
        record, text, values, at = [line], line.rstrip("\r\n"), [], 0
        while True:
            if value := self._value.match(text, at):
                values.append(value[2] if value[1] is None else self._unescaped(value[1]))
                if not value[3]:
                    return values, "".join(record)
                at = value.end()
                continue
            reason = "a quoted value is followed by other text"
            if not self._begin.match(text, at):
                reason = "a quote inside an unquoted value"
            elif self._open.match("".join(record), at):
                more, closed = self._until_closed(ahead, lines)
                record += more
                if closed:
                    text = "".join(record).rstrip("\r\n")
                    continue
                reason = "a quote is never closed"
            ahead.extendleft(reversed(record[1:]))
            return reason, line

    def _until_closed(self, ahead: deque[str], lines: Iterator[str]) -> tuple[list[str], bool]:
        """Return the lines up to the one that closes a quoted value, and whether there is one."""
        taken: list[str] = []
        size = 0
        while size < _LONGEST_SEARCH and (line := ahead.popleft() if ahead else next(lines, "")):
            taken.append(line)
            size += len(line)
            if self.quote in line and self._closing.match(line):
                return taken, True
        return taken, False

    def _unescaped(self, value: str) -> str:
        if self.escape in ("", self.quote):
            return value.replace(self.quote * 2, self.quote)
        return self._escaped.sub(r"\1", value)
