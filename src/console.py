"""What a person sees: a progress bar on a terminal, plain lines elsewhere, a table of what changed, the heartbeat.

How a line prints never decides how a command ends: what the terminal's encoding lacks is escaped, and a reader that
went away stops nothing. Values of landed files are shown with their control characters escaped, as these could move
the cursor, set the window's title or hide what was printed before.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TextIO

from src.errors import BoathouseError, from_os_error

GREEN, RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"
# control characters, the marks that turn the direction of text, and bytes that were no UTF-8 in a file's name
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _Unfailing(io.TextIOBase):
    """A stream that goes silent where the one below can no longer be written to: a closed pipe, a full disk."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._gone = False

    def write(self, text: str) -> int:
        self._try(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    def _try(self, act: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            act()
        except (OSError, ValueError):
            self._gone = True
            discard_output(self.stream)


@contextmanager
def unfailing() -> Iterator[None]:
    """Print what can be printed within a with-block, and let no line that cannot be decide anything."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out, err = map(_Unfailing, before)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


_reserved: list[TextIO] = []  # standard output, within data_alone


@contextmanager
def data_alone() -> Iterator[None]:
    """Reserve standard output for data_output() within a with-block; whatever else is printed goes to stderr."""
    _reserved.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _reserved.pop()


def data_output() -> TextIO:
    """Return standard output for what a command exists to print: that it cannot be written is then its failure."""
    out = _reserved[-1] if _reserved else sys.stdout
    return out.stream if isinstance(out, _Unfailing) else out


def write_data(write: Callable[[TextIO], None], out: TextIO | None = None) -> None:
    """Let `write` print what a command exists to print.

    Raises:
        MachineError: it cannot be written.
    """
    out = out or data_output()
    try:
        write(out)
        out.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        discard_output(out)
    except OSError as error:
        discard_output(out)
        raise from_os_error(error, "the output") from error


def in_utf8(out: TextIO) -> None:
    """Let a stream that a program reads be UTF-8: nothing may be escaped for a terminal's sake."""
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(encoding="utf-8")


def print_json(value: object, out: TextIO | None = None) -> None:
    """Print one JSON document: a dataclass is an object of its fields, a date is ISO text, a path is text.

    A number stays one, as text only where a reader would round it; infinity and NaN are the texts Infinity, -Infinity
    and NaN.
    """
    text = json.dumps(jsonable(value), ensure_ascii=False, indent=1, allow_nan=False)

    def write(out: TextIO) -> None:
        in_utf8(out)
        print(text, file=out)

    write_data(write, out)


def nested_as_json(value: object) -> object:
    """Return a list or an object as JSON text, and any other value as it is."""
    return json.dumps(jsonable(value), ensure_ascii=False) if isinstance(value, Mapping | list) else value


def jsonable(value: object) -> object:
    """Return a value as JSON can say it; see `print_json`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    if isinstance(value, Decimal):
        number = int(value) if value == value.to_integral_value() else float(value)
        return number if Decimal(repr(number)) == value else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def discard_output(stream: TextIO) -> None:
    """Lead a broken stream to nowhere, so that the interpreter does not fail on it at its end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # it has no file below it


def plain(text: str) -> str:
    """Return the text with its control characters escaped, line ends too."""
    return _UNSEEN.sub(_escaped, text)


def plain_lines(text: str) -> str:
    """Return the text with its control characters escaped, but for the line ends that part a message's lines."""
    return "\n".join(map(plain, text.split("\n")))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


@contextmanager
def progress(steps: int) -> Iterator[ProgressBar | None]:
    """Show a bar over the steps of a run where stdout is a terminal; yield None where it is not."""
    if not sys.stdout.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(), transient=True) as bar:
        yield ProgressBar(bar, steps)


class ProgressBar:
    """The bar of one run: `start` names a step that begins, `done` counts it; the one that goes longest is shown."""

    def __init__(self, bar: object, steps: int) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=steps)  # type: ignore[attr-defined]
        self._going: list[str] = []

    def start(self, table_id: str) -> None:
        """Take in a step that begins."""
        self._going.append(table_id)
        self._show()

    def done(self, table_id: str | None = None) -> None:
        """Count a step as done; None: all that go."""
        self._going = [other for other in self._going if table_id not in (None, other)]
        self._bar.advance(self._task)  # type: ignore[attr-defined]
        if self._going:
            self._show()

    def _show(self) -> None:
        more = f" and {len(self._going) - 1} more" if len(self._going) > 1 else ""
        self._bar.update(self._task, description=f"{self._going[0]}{more}")  # type: ignore[attr-defined]


def width(out: TextIO | None = None) -> int | None:
    """Return how many characters a line has where the output is a terminal; None where lines have no end."""
    return shutil.get_terminal_size().columns if (out or sys.stdout).isatty() else None


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    grouped: bool = True,
    null: str = "",
    ruled: bool = True,
    out: TextIO | None = None,
) -> None:
    """Print rows under headers, numbers to the right; `grouped` parts thousands, which spoils a number that names.

    On a terminal it is as wide as that: long texts are wrapped, and where even that is too wide each row is a list of
    its values. Nothing is cut. `null` stands, dim, where there is no value;
    `ruled`: with the headers.
    """
    out = out or sys.stdout
    cells = [[null if value is None else _shown(value, grouped) for value in row] for row in rows]
    numeric = [all(isinstance(row[at], int | float | Decimal | None) for row in rows) for at in range(len(headers))]
    dim = [[value is None and bool(null) for value in row] for row in rows]
    widths = [max(map(cells_wide, column)) for column in zip(headers, *cells, strict=True)]
    fitted = _fitted(widths, numeric, width(out))
    if fitted is None:
        lines = _listed(headers, cells, dim, width(out) or 0, out)
    else:
        rules = ["-" * wide for wide in fitted]
        unmarked = [False] * len(headers)
        above = [list(headers), rules] if ruled else []
        every = zip([*above, *cells], [*([unmarked] * len(above)), *dim], strict=True)
        lines = (line for row, marks in every for line in _row(row, marks, fitted, numeric, out))
    for line in lines:
        print(line, file=out)


def aligned(rows: Sequence[Sequence[str]], indent: str, out: TextIO | None = None) -> Iterator[str]:
    """Yield rows of texts as lines in columns, as wide as the terminal, each line behind an indent."""
    widths = [max(map(cells_wide, column)) for column in zip(*rows, strict=True)]
    left = [False] * len(widths)
    room = width(out)
    fitted = _fitted(widths, left, room - len(indent) if room else None, _LEAST) or [min(w, _LEAST) for w in widths]
    for row in rows:
        yield from (f"{indent}{line}".rstrip() for line in _row(row, left, fitted, left, out or sys.stdout))


_LEAST = 12  # characters that a column of longer texts has at least
_DIM = "\x1b[2m"
_BETWEEN = "  "


def cells_wide(text: str) -> int:
    """Return how many cells of a terminal a text takes: letters of some scripts take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _fitted(widths: Sequence[int], numeric: Sequence[bool], room: int | None, least: int = _LEAST) -> list[int] | None:
    """Return the columns' widths within the room, the longest texts made shorter; None where they cannot be."""
    between = len(_BETWEEN) * (len(widths) - 1)
    if room is None or sum(widths) + between <= room:
        return list(widths)
    for most in range(max(widths), least - 1, -1):
        fitted = [wide if number else min(wide, most) for wide, number in zip(widths, numeric, strict=True)]
        if sum(fitted) + between <= room:
            return fitted
    return None


def _row(
    row: Sequence[str], dim: Sequence[bool], widths: Sequence[int], numeric: Sequence[bool], out: TextIO
) -> Iterator[str]:
    """Yield the lines of a row: one, or more where a text is wider than its column."""
    wrapped = [_wrapped(cell, wide) for cell, wide in zip(row, widths, strict=True)]
    for nth in range(max(map(len, wrapped), default=1)):
        pieces = [lines[nth] if nth < len(lines) else "" for lines in wrapped]
        yield _BETWEEN.join(map(_padded, pieces, widths, numeric, dim, [out] * len(pieces))).rstrip()


def _padded(text: str, wide: int, right: bool, dim: bool, out: TextIO) -> str:
    blanks = " " * (wide - cells_wide(text))
    shown = coloured(text, _DIM, out) if dim and text else text
    return blanks + shown if right else shown + blanks


def _wrapped(text: str, wide: int) -> list[str]:
    """Return a text in lines of at most so many cells, at its blanks where it has some."""
    if cells_wide(text) <= wide:
        return [text]
    if not text.isascii():
        from rich.cells import chop_cells

        return chop_cells(text, max(wide, 2))
    import textwrap

    options = {"break_on_hyphens": False, "replace_whitespace": False, "expand_tabs": False}
    return textwrap.wrap(text, max(wide, 1), **options) or [""]  # type: ignore[arg-type]


def _listed(
    headers: Sequence[str], rows: Sequence[Sequence[str]], dim: Sequence[Sequence[bool]], room: int, out: TextIO
) -> Iterator[str]:
    """Yield each row as lines of a name and its value, rows parted by a blank line."""
    names = min(max(map(cells_wide, headers)), max(_LEAST, room // 2))
    widths = [names, max(_LEAST // 2, room - names - len(_BETWEEN))]
    for nth, row in enumerate(rows):
        if nth:
            yield ""
        for name, value, mark in zip(headers, row, dim[nth], strict=True):
            yield from _row((name, value.strip()), (False, mark), widths, (False, False), out)


def note(text: str) -> None:
    """Print something worth knowing that is no failure of a step."""
    print(f"note: {plain(text)}")


def unclaimed(files: Sequence[str], most: int = 5) -> None:
    """Name the files, landed ones and seeds, that no feed takes, so that none is overlooked in silence."""
    if files:
        shown = plain(", ".join(files[:most])) + (", ..." if len(files) > most else "")
        print(f"note: {len(files)} {'file belongs' if len(files) == 1 else 'files belong'} to no feed: {shown}")


def error_text(error: BaseException) -> str:
    """Return the lines that show an error to a person: what, where and fix, or that it is a bug."""
    return plain_lines(str(error) if isinstance(error, BoathouseError) else f"a bug: {type(error).__name__}: {error}")


def failed(message: str) -> None:
    """Print the heartbeat of a run that failed, on stderr."""
    first, *rest = plain_lines(message).split("\n")
    print(coloured(f"✗ Pipeline Failed: {first}", RED, sys.stderr), file=sys.stderr)
    for line in rest:
        print(line, file=sys.stderr)


def complain(message: str) -> None:
    """Print why a command was refused, on stderr."""
    print(f"{coloured('error:', RED, sys.stderr)} {plain_lines(message)}", file=sys.stderr)


def _shown(value: object, grouped: bool) -> str:
    if value is None:
        return ""
    if grouped and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:f}"  # a nought with nine places would be 0E-9
    return plain(str(value))


def coloured(text: str, colour: str, stream: TextIO) -> str:
    """Return the text in a colour, where the stream is a terminal that wants one."""
    if stream.isatty() and not os.environ.get("NO_COLOR"):
        return f"{colour}{text}{_PLAIN}"
    return text
