"""A preview as people read it who are not shown the values of masked columns: of these it has *** in their place."""

from __future__ import annotations

from dataclasses import replace

from src.masking.concealing import concealed_audits, concealed_differences, concealed_rows, concealed_text
from src.masking.masks import SHOWN, Masks, TableMasks
from src.preview.gold import MartPreview
from src.preview.rows import ColumnFigures, Refusal
from src.preview.silver import SilverPreview
from src.silver.reasons import Reason


def masked_silver(found: SilverPreview, masks: Masks) -> SilverPreview:
    """Return the preview of a silver table without the values of masked columns."""
    own = masks.of_table(found.table)
    if own is None:
        return found
    return replace(
        found,
        refusals=tuple(map(_refusal, found.refusals)),
        feeds=tuple(replace(feed, notes=tuple(map(concealed_text, feed.notes))) for feed in found.feeds),
        notes=tuple(map(concealed_text, found.notes)),
        reasons=tuple(_reason(one, own) for one in found.reasons),
        audits=concealed_audits(found.audits, own),
        columns=tuple(_figures(one, own) for one in found.columns),
        first=concealed_rows(found.first, own),
    )


def masked_mart(found: MartPreview, masks: Masks) -> MartPreview:
    """Return the preview of a table of a mart without the values of masked columns."""
    own = masks.of_table(found.table)
    if own is None:
        return found
    return replace(
        found,
        refusals=tuple(map(_refusal, found.refusals)),
        comparison=concealed_differences(found.comparison, own) if found.comparison else None,
        audits=concealed_audits(found.audits, own),
        columns=tuple(_figures(one, own) for one in found.columns),
        first=concealed_rows(found.first, own),
    )


def _refusal(one: Refusal) -> Refusal:
    return replace(one, what=concealed_text(one.what.split("\n")[0]), fix=concealed_text(one.fix) if one.fix else None)


def _figures(one: ColumnFigures, own: TableMasks) -> ColumnFigures:
    return replace(one, least=None, greatest=None) if own.of_column(one.column) else one


def _reason(one: Reason, own: TableMasks) -> Reason:
    text = one.text if one.column.lower() in own.quoted else f"{one.code}: {SHOWN}"
    return replace(one, text=text, values=SHOWN)
