"""What a person sees of a draft: what was found in each column, what was chosen and why, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence

from src import console
from src.draft.drafting import Draft, FoundColumn
from src.draft.figures import counted
from src.draft.fitting import Misfit
from src.draft.marts import MartDraft

_EXAMPLES = 36  # characters
_NOTE = 60
_MISFITS = 20


def print_draft(found: Draft) -> None:
    """Print one draft."""
    same = f", {found.duplicates:,} of them equal to another" if found.duplicates else ""
    passing = "every row passes" if not found.rejected else f"all but {found.rejected:,} pass"
    print(f"{found.table}: {counted(found.rows, 'row')} of {counted(found.files, 'file')}{same}; {passing}")
    print()
    headers = ["column", "from", "type", "filled", "distinct", "examples", "note"]
    console.table(headers, [_row(column) for column in found.columns])
    print()
    _print_misfits(found.misfits)
    for note in found.notes:
        console.note(note)
    print(f"key: {', '.join(found.key)}" if found.key else "key: none, the contract says why")
    if found.sequence_by:
        print(f"newest row of a key: by {found.sequence_by}")
    if found.partition_by:
        print(f"partitioned by {', '.join(found.partition_by)}")


def print_mart(found: MartDraft) -> None:
    """Print the draft of a mart: of each table what its model returned."""
    for table in found.tables:
        print(f"{table.table}: {counted(table.rows, 'row')}, over {', '.join(table.reads)}")
        headers = ["column", "type", "filled", "distinct"]
        rows = [
            [column.name, column.type.lower(), _percent(column.filled), column.distinct] for column in table.columns
        ]
        console.table(headers, rows)
        print(f"key: {', '.join(table.key)}" if table.key else "key: none, the contract says why")


def _row(column: FoundColumn) -> list[object]:
    source = "" if column.source.lower() == column.name else _cut(column.source, 30)
    examples = _cut(" | ".join(column.examples), _EXAMPLES)
    return [
        column.name,
        source,
        column.type,
        _percent(column.filled),
        column.distinct,
        examples,
        _cut(column.note, _NOTE),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share in (0, 1) else f"{min(99.9, 100 * share):.1f} %"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _print_misfits(misfits: Sequence[Misfit]) -> None:
    """Print what does not fit, column by column."""
    if not misfits:
        return
    print("files that do not fit the others:")
    rows = [[misfit.file, misfit.column, _cut(misfit.what, 80)] for misfit in misfits[:_MISFITS]]
    console.table(["file", "column", "what is different"], rows)
    if len(misfits) > _MISFITS:
        print(f"... and {len(misfits) - _MISFITS} more (--json shows all)")
    print()
