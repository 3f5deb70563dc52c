"""Bytes become text in the contract's encoding; those that are no text stay visible, so their record can be kept."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from src.bronze.readers.files import opened
from src.bronze.readers.refusals import contract_of
from src.contract import Feed
from src.errors import ContractError, DataError

LONGEST_LINE = 64 << 20  # characters; a longer line comes in pieces
NO_TEXT = re.compile("[\0\ud800-\udfff]")  # what no value may hold: NUL, and half surrogates
_SHOWN = {0: "\\x00", **{0xDC00 + byte: f"\\x{byte:02x}" for byte in range(256)}}


@contextmanager
def lines_of(feed: Feed, path: Path) -> Iterator[Iterator[str]]:
    """Open a file as its lines, each with its end (LF, CRLF or CR), without a byte order mark."""
    codecs.register_error("boathouse", _keep_bytes)
    errors = "surrogateescape" if is_utf_8(feed) else "boathouse"  # the same, without a call for each byte
    with opened(path) as raw, io.TextIOWrapper(raw, encoding_of(feed), errors=errors, newline="") as text:
        first = text.readline(LONGEST_LINE)
        yield chain([first.removeprefix("\ufeff")], iter(partial(text.readline, LONGEST_LINE), ""))


MARKS = (  # of byte order, the longer ones first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def refuse_wrong_encoding(feed: Feed, path: Path) -> None:
    """Refuse a file that the contract says is UTF-8 where no line is that beyond ASCII, and several are something else.

    Taken, these lines would be rejects for ever, as the same bytes are not read again under another encoding. One such
    line alone, or one among others that are right, is damage and costs no other.

    Raises:
        DataError: saying how another encoding reads the first of them.
    """
    if not is_utf_8(feed):
        return
    wrong, first = 0, b""
    with opened(path) as raw:
        for line in iter(partial(raw.readline, LONGEST_LINE), b""):
            if line.isascii():
                continue
            if _is_utf_8(line) or not _likely_encoding(line):
                return
            wrong, first = wrong + 1, first or line
    if wrong < 2:
        return
    name = _likely_encoding(first)
    what = f"not {feed.encoding}: none of the {wrong:,} lines with more than ASCII is"
    fix = f"if that is right, write `encoding: {name}` in {contract_of(feed)}; nothing of the file was taken"
    shown_first = quoted(first.decode(name).strip()[:100])
    raise DataError(f"{what}; read as {name} the first is {shown_first}", where=path, fix=fix)


def read_otherwise(raw: str, feed: Feed) -> tuple[str, str] | None:
    """Return the encoding in which a line that is not UTF-8 is likely written, and its text; None where none is."""
    line = raw.encode("utf-8", "surrogateescape") if is_utf_8(feed) and not raw.isascii() else b""
    if not line or _is_utf_8(line) or not (name := _likely_encoding(line)):
        return None
    return name, line.decode(name).strip()


def _is_utf_8(line: bytes) -> bool:
    """Return whether bytes are UTF-8, whatever they say: a control character is a value like any other."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _likely_encoding(line: bytes) -> str:
    return next((name for name in _OF_ONE_BYTE if _is_text(line, name)), "")


_OF_ONE_BYTE = ("cp1252", "cp850")  # Windows', and the older one of DOS, of which cp1252 lacks some letters


def _is_text(line: bytes, encoding: str) -> bool:
    """Return whether bytes are text in an encoding; 0xff, in no common word, speaks against it."""
    try:
        return line.decode(encoding).replace("\t", " ").strip().isprintable() and b"\xff" not in line
    except UnicodeDecodeError:
        return False


def is_utf_8(feed: Feed) -> bool:
    """Return whether a feed's files are UTF-8."""
    return encoding_of(feed) in ("utf-8", "utf-8-sig")


def encoding_of(feed: Feed) -> str:
    """Return the name by which Python knows a feed's encoding.

    Raises:
        ContractError: it knows none of that name.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), feed.encoding)  # knows codecs that are of no use for text
        return codecs.lookup(feed.encoding).name
    except LookupError as error:
        fix = f"name an encoding that Python knows in {contract_of(feed)}"
        raise ContractError(f'unknown encoding "{feed.encoding}"', where=feed.id, fix=fix) from error


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    """Return bytes that are no text as the half surrogates U+DC00 to U+DCFF, which no valid text holds."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def no_text_reason(raw: str, feed: Feed) -> str | None:
    """Return why a record cannot be kept as text (bytes unknown to the encoding, or NUL); None if it can."""
    if raw.isascii() and "\0" not in raw:
        return None
    found = NO_TEXT.search(raw)
    if found is None:
        return None
    if found[0] == "\0":
        return f"NUL byte at character {found.start() + 1}"
    return f"not valid {feed.encoding} (byte 0x{ord(found[0]) & 0xFF:02x} at character {found.start() + 1})"


def shown(raw: str) -> str:
    """Return a record's text as it can be kept: without its line end, what is no text written as \\xNN."""
    return raw.rstrip("\r\n").translate(_SHOWN)


def quoted(text: str) -> str:
    """Return a name or mark as a message shows it: between quotes, what cannot be seen as JSON writes it."""
    return json.dumps(text, ensure_ascii=NO_TEXT.search(text) is not None)
