"""Words that stand for no value: said once for the feed where no text of it needs them, else at their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from src.contract import Feed
from src.draft.fields import Field, Rows, values
from src.draft.judging import Verdict
from src.engine import literal


def of_the_feed(
    rows: Rows, feed: Feed, fields: Sequence[Field], verdicts: Sequence[Verdict]
) -> tuple[Feed, list[Verdict]]:
    """Return the feed with its `nullValues`, and the verdicts without `nullif` of these.

    A word that some text column has as a value, such as NA for Namibia, is left to the columns where it is none.
    """
    wanted = {
        word for one, verdict in zip(fields, verdicts, strict=True) if one.is_column for word in verdict.null_words
    }
    texts = [one for one, verdict in zip(fields, verdicts, strict=True) if _keeps(one, verdict)]
    if wanted and texts:
        listed = literal(sorted(wanted))
        had = [f"list(DISTINCT v{at}) FILTER (v{at} IN {listed})" for at in range(len(texts))]
        row = rows.engine.one(f"SELECT {', '.join(had)} FROM {values(texts, rows)}")
        wanted -= {word for found in row for word in found or ()}
    if not wanted:
        return feed, list(verdicts)
    left = [
        replace(
            verdict, null_words=tuple(word for word in verdict.null_words if not one.is_column or word not in wanted)
        )
        for one, verdict in zip(fields, verdicts, strict=True)
    ]
    return replace(feed, null_values=tuple(sorted(wanted))), left


def _keeps(one: Field, verdict: Verdict) -> bool:
    """Return whether a field is text of the file itself, or the object that a path leads into."""
    return verdict.logical == "string" or not one.is_column
