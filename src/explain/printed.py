"""An explanation as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from src import console
from src.explain.bronze import Line
from src.explain.explaining import Explanation, NotCounted, SourceRow, SourceRows
from src.explain.moved import Movement

_LONGEST = 60  # characters of a value


def print_explanation(found: Explanation) -> None:
    """Print where rows came from."""
    _print(found, "")


_HAPPENED = {
    "left": "rows left, of {file}",
    "corrected": "rows corrected by {file}",
    "new": "rows new from {file}",
    "others": "rows of other files",
    "contract": "another model, or other rows behind it that are the same now",
}


def print_movement(found: Movement) -> None:
    """Print why the numbers of a row are others in a later release, each number for itself."""
    print(f"{found.table} where {_pairs(found.key)}, from run {found.before} to run {found.after}")
    names = {**found.numbers_before, **found.numbers_after}
    changed = [n for n in names if any(n in part.moves for part in found.parts)]
    for name in changed:
        rows = [(f"release {found.before}", found.numbers_before.get(name))]
        for part in found.parts:
            if name in part.moves:
                what = _HAPPENED[part.what].format(file=part.file or part.source)
                counted = f"{part.source}: {part.rows:,} {what}" if part.rows else what
                rows.append((counted, f"{part.moves[name]:+,}"))
        rows.append((f"release {found.after}", found.numbers_after.get(name)))
        print()
        console.table((name, ""), rows)
    if not changed:
        print("No number differs.")
    elif not found.adds_up:
        console.note("the parts do not make all of the difference: a model or a source is another than it was")


def _print(found: Explanation, indent: str) -> None:
    of = f", data of run {found.as_of}" if found.as_of else ""
    print(f"{indent}{found.table} {found.contract}, version {found.version}{of}: {_counted(found.rows, 'row')}")
    if found.sources:
        for row in found.shown:
            print(f"{indent}  {_pairs(row.values)}")
        print(f"{indent}  computed by {found.model}")
        if found.widened:
            print(f"{indent}  more rows than it needs are named: {found.widened}")
        else:
            print(f"{indent}  proven: over these rows alone the model gives the same")
    else:
        _print_rows(found.shown, indent)
        _print_not_counted(found.not_counted, "lost against them", indent)
    for part in found.part_of:
        print(f"{indent}  part of {part.table} where {_pairs(part.key)}")
    for source in found.sources:
        _print_source(source, indent + "  ")


def _print_source(source: SourceRows, indent: str) -> None:
    if source.through:
        _print(source.through, indent)
        return
    most = f", of which {len(source.shown)} are shown" if len(source.shown) < source.rows else ""
    print(f"{indent}{source.table}, version {source.version}: {_counted(source.rows, 'row')}{most}")
    _print_rows(source.shown, indent)
    _print_not_counted(source.not_counted, "not counted", indent)


def _print_rows(rows: Iterable[SourceRow], indent: str) -> None:
    for row in rows:
        if row.line:
            _print_line(row.line, indent)
        else:
            print(f"{indent}  {_pairs(row.values)}")
        if row.moves:
            print(f"{indent}    without it: {', '.join(f'{name} {_less(value)}' for name, value in row.moves.items())}")


def _print_line(line: Line, indent: str) -> None:
    came_from = f"{line.file}, row {line.row}" + (f" (line {line.line})" if line.line else "")
    print(f"{indent}  {came_from}, run {line.run}")
    print(f"{indent}    {console.plain(line.text) if line.text is not None else _pairs(line.values)}")


def _print_not_counted(found: NotCounted | None, title: str, indent: str) -> None:
    if found is None:
        return
    if found.unknown:
        print(f"{indent}  {title}: cannot be told of {found.unknown}")
        return
    counts = ", ".join(f"{count:,} {why}" for why, count in found.counts.items())
    print(f"{indent}  {title}: {counts or 'nothing'}")
    for one in found.rows:
        print(f"{indent}    {one.why}: {console.plain(one.reason)}")
        _print_line(one.line, indent + "    ")


def _less(value: Any) -> str:
    return f"{-value:+,}"


def _pairs(values: Mapping[str, Any]) -> str:
    shown = (f"{name} {_short(value)}" for name, value in values.items() if value is not None)
    return ", ".join(shown) or "nothing"


def _short(value: Any) -> str:
    text = console.plain(str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
