"""What a person sees: a progress bar on a terminal, plain lines elsewhere, a table of what changed, the heartbeat.

How a line prints never decides how a command ends: what the terminal's encoding lacks is escaped, and a reader that
went away stops nothing. Values of landed files are shown with their control characters escaped, as these could move
the cursor, set the window's title or hide what was printed before.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TextIO

from src.errors import BoathouseError

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


def data_output() -> TextIO:
    """Return standard output for what a command exists to print: that it cannot be written is then its failure."""
    return sys.stdout.stream if isinstance(sys.stdout, _Unfailing) else sys.stdout


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
    """The bar of one run: `start` names the step that begins, `done` counts it."""

    def __init__(self, bar: object, steps: int) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=steps)  # type: ignore[attr-defined]

    def start(self, table_id: str) -> None:
        """Show the step that begins."""
        self._bar.update(self._task, description=table_id)  # type: ignore[attr-defined]

    def done(self) -> None:
        """Count a step as done."""
        self._bar.advance(self._task)  # type: ignore[attr-defined]


def table(
    headers: Sequence[str], rows: Sequence[Sequence[object]], *, grouped: bool = True, out: TextIO | None = None
) -> None:
    """Print rows under headers, numbers to the right; `grouped` parts thousands, which spoils a number that names."""
    cells = [[_shown(value, grouped) for value in row] for row in rows]
    numeric = [all(isinstance(row[at], int | float | Decimal | None) for row in rows) for at in range(len(headers))]
    widths = [max(len(headers[at]), *(len(row[at]) for row in cells), 0) for at in range(len(headers))]
    lines = [list(headers), ["-" * width for width in widths], *cells]
    for line in lines:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(padded).rstrip(), file=out or sys.stdout)


def note(text: str) -> None:
    """Print something worth knowing that is no failure of a step."""
    print(f"note: {plain(text)}")


def unclaimed(files: Sequence[str], most: int = 5) -> None:
    """Name the landed files that no feed takes, so that none is overlooked in silence."""
    if files:
        shown = plain(", ".join(files[:most])) + (", ..." if len(files) > most else "")
        print(f"note: {len(files)} landed files belong to no feed: {shown}")


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
    return plain(str(value))


def coloured(text: str, colour: str, stream: TextIO) -> str:
    """Return the text in a colour, where the stream is a terminal that wants one."""
    if stream.isatty() and not os.environ.get("NO_COLOR"):
        return f"{colour}{text}{_PLAIN}"
    return text
