"""A preview as text: what a run would do, what would stop it, the rejected rows by reason, the columns, the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from src import console
from src.checks.audits import AuditResult
from src.checks.audits import describe as describe_audit
from src.contract import shown_type
from src.preview.gold import Comparison, MartPreview
from src.preview.rows import ColumnFigures, Refusal
from src.preview.silver import FeedAhead, SilverPreview
from src.silver.reasons import Reason

_LONGEST = 60  # characters of a value


def print_silver(found: SilverPreview) -> None:
    """Print the preview of a silver table."""
    _print_head(found, f"a run would {_VERBS[found.would]}: {found.why}")
    for feed in found.feeds:
        _print_feed(feed)
    for note in found.notes:
        console.note(note)
    _print_refusals(found.refusals)
    counts = ["read", "rows", "quarantined", "duplicates", "superseded", "conflicts", "deleted"]
    counts += [count for count in ("unchanged", "removed") if getattr(found, count)]
    print()
    console.table(counts, [[getattr(found, count) for count in counts]])
    _print_reasons(found.reasons)
    _print_rest(found.audits, found.not_audited, found.columns, found.first)


def print_mart(found: MartPreview) -> None:
    """Print the preview of a table of a mart."""
    if found.waits_for:
        waits = ", ".join(found.waits_for)
        _print_head(found, f"waits for {waits}, not published yet: `make pipeline` builds it")
        print("The model fits the columns that their contracts declare.")
        return
    _print_head(found, f"{found.rows:,} rows, over what is published")
    _print_refusals(found.refusals)
    if found.comparison:
        _print_comparison(found.comparison)
    else:
        print("nothing of it is published yet")
    _print_rest(found.audits, found.not_audited, found.columns, found.first)


_VERBS = {"rebuild": "build it whole", "merge": "merge", "nothing": "do nothing", "fail": "leave it as it is"}


def _print_head(found: SilverPreview | MartPreview, what: str) -> None:
    draft = " (draft)" if found.status == "draft" else ""
    print(f"{found.table} {found.version}{draft}: {console.plain(what)}")


def _print_feed(feed: FeedAhead) -> None:
    if not (feed.new_files or feed.taken_before or feed.refused or feed.waiting):
        print(f"{feed.feed}: no file has landed yet at {feed.path}")
        return
    parts = [f"{_counted(feed.new_files, 'new file')} with {_counted(feed.new_rows, 'row')}"] if feed.new_files else []
    parts += [f"{_counted(feed.taken_before, 'file')} taken before"] if feed.taken_before else []
    parts += [f"{_counted(feed.refused, 'file')} refused"] if feed.refused else []
    parts += [f"{_counted(len(feed.waiting), 'file')} still being written"] if feed.waiting else []
    print(f"{feed.feed}: {', '.join(parts)}")
    for note in feed.notes:
        console.note(note)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _print_refusals(refusals: Iterable[Refusal]) -> None:
    for refusal in refusals:
        what, *more = console.plain_lines(refusal.what).split("\n")
        subject = "" if what.startswith(refusal.subject) else f"{refusal.subject}: "
        print("\n".join([f"a run would refuse: {subject}{what}", *more]))
        for name, text in (("where: ", refusal.where), ("fix:   ", refusal.fix)):
            if text:
                print(f"  {name}{console.plain(text)}")


def _print_reasons(reasons: Sequence[Reason]) -> None:
    if reasons:
        print("\nto quarantine")
        cells = [(r.rows, _cut(r.text), r.file, str(r.row), _cut(" ".join(r.values.split()))) for r in reasons]
        console.table(("rows", "reason, for example", "file", "row", "values"), cells)


def _print_rest(
    audits: Iterable[AuditResult],
    not_audited: Sequence[str],
    columns: Sequence[ColumnFigures],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    for audit in audits:
        print(
            f"{'audit fails' if audit.severity == 'error' else 'audit warns'}: {console.plain(describe_audit(audit))}"
        )
    if not_audited:
        console.note(f"foreign keys to {', '.join(not_audited)} are not looked at: not built yet")
    print()
    cells = [
        (
            column.column,
            shown_type(column.type),
            "" if column.filled_percent is None else f"{column.filled_percent:.4g} %",
            f"{'about ' if column.estimated else ''}{column.distinct:,}",
            _cut(column.least),
            _cut(column.greatest),
        )
        for column in columns
    ]
    console.table(("column", "type", "filled", "distinct", "least", "greatest"), cells)
    if rows:
        print()
        _print_rows(rows)


def _print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    console.table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows], grouped=False)


def _print_comparison(found: Comparison) -> None:
    print(
        f"published as of {found.as_of or 'an earlier run'}: {found.published:,} rows; "
        f"added {found.added:,}, removed {found.removed:,}, changed {found.changed:,}"
    )
    if found.not_compared:
        console.note(f"not compared, as one side alone has them so: {', '.join(found.not_compared)}")
    for label, rows in (("added", found.added_rows), ("removed", found.removed_rows)):
        if rows:
            print(f"\n{label}, for example")
            _print_rows(rows)
    if found.changes:
        print("\nchanged, for example")
        cells = [
            (*map(_cell, change.key.values()), change.column, _cut(change.before), _cut(change.after))
            for change in found.changes
        ]
        console.table((*found.changes[0].key, "column", "published", "computed"), cells, grouped=False)


def _cell(value: object) -> object:
    shown = console.nested_as_json(value)
    return _cut(shown) if isinstance(shown, str) else shown


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
