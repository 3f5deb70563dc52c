"""Blanks around a text do not count, and text of blanks alone, or of what the feed says means nothing, is NULL."""

from __future__ import annotations

from collections.abc import Sequence

from src.engine import literal

_BLANKS = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160)"


def valued(value: str, null_values: Sequence[str]) -> str:
    """Return SQL of a text without outer blanks, NULL for nothing.

    Most values begin and end with a visible ASCII character: seeing that is six times cheaper than a trim.
    """
    is_clean = f"{value} BETWEEN '!' AND '~' AND {value}[-1] BETWEEN '!' AND '~'"
    clean = f"CASE WHEN {is_clean} THEN {value} ELSE nullif(trim({value}, {_BLANKS}), '') END"
    return f"CASE WHEN {clean} IN ({literal(null_values)[1:-1]}) THEN NULL ELSE {clean} END" if null_values else clean
