"""Names: what a file calls a column becomes snake case, and what the name says of its values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

RESERVED = ("rowid", "file_row_number")  # the engine's own names for where a row lies
_LETTERS = str.maketrans(
    {"ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "ø": "o", "å": "a", "ł": "l", "€": " eur "}
)
_ID = re.compile(
    r"(^|_)(id|ids|key|code|no|nr|num|number|nummer|uuid|guid|sku|ean|isbn|iban|vat|zip|postcode|plz|ref|hash|pk)($|_)|_?id$"
)
_DATE = re.compile(
    r"(^|_)(date|datum|day|dt|dob|tag|fecha|data|dat|on|from|to|until|since|valid|start|end|period)($|_)|date|datum"
)
_NEWER = re.compile(
    r"(^|_)(updated|modified|changed|revised|version|revision|rev|synced|last_update|last_modified|last_change|sequence|seq)($|_)"
)


def snake_case(text: str) -> str:
    """Return a name in snake case, such as invoice_no of InvoiceNo; '' where the text has no letter to begin with."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text.strip())
    text = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")


def column_names(sources: Sequence[str]) -> list[str]:
    """Return a column's name for each of a file's names: distinct, and none of them another one's name in the file.

    In an expression a name means the table's own column before the file's, so that no column may take the name of
    another column's source.
    """
    low = [source.lower() for source in sources]
    names: list[str] = []
    for at, source in enumerate(sources):
        name = snake_case(source)
        if not name or not name[0].isalpha():
            name = f"column_{name or at + 1}"
        if name in RESERVED:
            name += "_value"
        others = {*low[:at], *low[at + 1 :], *names}
        number, free = 2, name
        while free in others:
            free, number = f"{name}_{number}", number + 1
        names.append(free)
    return names


def is_id(name: str) -> bool:
    """Return whether a column's name says that its values name things."""
    return bool(_ID.search(name))


def is_date(name: str) -> bool:
    """Return whether a column's name says that its values are dates."""
    return bool(_DATE.search(name))


def is_version(name: str) -> bool:
    """Return whether a column's name says that 1.10 is another value than 1.1."""
    return bool(re.search(r"(^|_)version($|_)|(^|_)release($|_)", name))


def says_newer(name: str) -> bool:
    """Return whether a column's name says which row of a key is newer."""
    return bool(_NEWER.search(name))
