"""Blanks around a text do not count, and text of blanks alone, or of what the feed says means nothing, is NULL."""

from __future__ import annotations

from collections.abc import Sequence

from src.engine import literal

_BLANKS = literal(" \t\n\v\f\r\u00a0")


def valued(value: str, null_values: Sequence[str], *, brief: bool = False) -> str:
    """Return SQL of a text without outer blanks, NULL for nothing.

    Most values begin and end with a visible ASCII character: seeing that is six times cheaper than a trim. It is left
    out where SQL is to be `brief`, for few values.
    """
    clean = f"nullif(trim({value}, {_BLANKS}), '')"
    if not brief:
        is_clean = f"{value} BETWEEN '!' AND '~' AND {value}[-1] BETWEEN '!' AND '~'"
        clean = f"CASE WHEN {is_clean} THEN {value} ELSE {clean} END"
    return f"CASE WHEN {clean} IN ({literal(null_values)[1:-1]}) THEN NULL ELSE {clean} END" if null_values else clean
