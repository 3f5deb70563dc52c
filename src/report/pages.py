"""One text as Markdown and as an HTML page: the same sections, sentences and tables in both, escaped for each.

The page stands alone: its style and its plots are in it, it loads nothing and runs nothing (and says so to the
browser), and it is light or dark as the reader's system is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from src.report import plots
from src.report.plots import Plot


class Figure(str):
    """A number already formatted; its column is aligned to the right."""


@dataclass(frozen=True)
class Spark:
    """A row of values drawn in a cell; None is a gap."""

    values: tuple[float | None, ...]
    what: str


_LONG = 30  # letters; a column of more is broken into lines, never into single words

Cell = str | int | Spark | None


@dataclass(frozen=True)
class Grid:
    """A table; `folded`: the page shows it on demand."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False


@dataclass(frozen=True)
class Item:
    """Something that asks for a person: a title with its class, what is so, what to do, and what is folded below.

    It is no row of a table, so that all of it can be read on a narrow screen.
    """

    mark: str  # P1 to P4
    title: str
    text: str
    advice: str
    folded: Grid | None = None


@dataclass(frozen=True)
class Section:
    """A heading, sentences, items, plots and tables. A table without rows is not shown."""

    title: str
    text: str = ""
    plots: tuple[Plot, ...] = ()
    grids: tuple[Grid, ...] = ()
    items: tuple[Item, ...] = ()  # they come before plots and tables


@dataclass(frozen=True)
class Page:
    """A title, a line below it, a verdict, and sections. `well` colours the verdict."""

    title: str
    line: str
    verdict: str
    well: bool
    sections: tuple[Section, ...]


def markdown(page: Page) -> str:
    """Return the page as Markdown, its plots described in words."""
    lines = [f"# {_marked(page.title)}", "", _marked(page.line), "", f"**{_marked(page.verdict)}**", ""]
    for section in page.sections:
        lines += [f"## {_marked(section.title)}", ""]
        lines += [_marked(section.text), ""] if section.text else []
        for item in section.items:
            lines += _markdown_item(item)
        for plot in section.plots:
            lines += [f"{_marked(plot.title)}: {_marked(plot.text)}", ""]
        for grid in section.grids:
            lines += _markdown_table(grid) if grid.rows else []
    return "\n".join(lines).rstrip() + "\n"


def html(page: Page) -> str:
    """Return the page as one HTML file."""
    body = "".join(_html_section(section, number) for number, section in enumerate(page.sections, 1))
    links = "".join(
        f'<a href="#s{number}">{_escaped(section.title)}</a> ' for number, section in enumerate(page.sections, 1)
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_escaped(page.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{_escaped(page.title)}</h1>\n<p>{_coded(page.line)}</p>\n"
        f'<p class="verdict {"well" if page.well else "ill"}">{_escaped(page.verdict)}</p>\n'
        f'<nav aria-label="Sections">{links}</nav>\n{body}</main>\n</body>\n</html>\n'
    )


def _markdown_item(item: Item) -> Iterator[str]:
    yield f"**{_marked(item.mark)} {_marked(item.title)}**: {_marked(item.text)}"
    yield ""
    yield f"→ {_marked(item.advice)}"
    yield ""
    if item.folded:
        yield f"<details><summary>{_escaped(item.folded.caption)}</summary>"
        yield ""
        yield from list(_markdown_table(item.folded))[2:]  # its caption is the summary
        yield "</details>"
        yield ""


def _markdown_table(grid: Grid) -> Iterator[str]:
    right = _right(grid)
    yield f"{_marked(grid.caption)}:"
    yield ""
    yield f"| {' | '.join(map(_marked, grid.headers))} |"
    yield "|" + "|".join("---:" if column in right else "---" for column in range(len(grid.headers))) + "|"
    for row in grid.rows:
        yield f"| {' | '.join(_marked(_text(cell)) for cell in row)} |"
    yield ""


def _html_section(section: Section, number: int) -> str:
    parts = [f'<section id="s{number}">\n<h2>{_escaped(section.title)}</h2>\n']
    parts += [f"<p>{_coded(section.text)}</p>\n"] if section.text else []
    parts += [_html_item(item) for item in section.items]
    for plot in section.plots:
        parts.append(f"<figure><figcaption>{_escaped(plot.title)}</figcaption>{plot.svg}</figure>\n")
    for grid in section.grids:
        if not grid.rows:
            continue
        table = _html_table(grid)
        folded = f"<details><summary>{_escaped(grid.caption)}</summary>{table}</details>\n"
        parts.append(folded if grid.folded else table)
    return "".join([*parts, "</section>\n"])


def _html_item(item: Item) -> str:
    """Return an item as a block: its title, what is so, what to do."""
    folded = ""
    if item.folded:
        caption = _escaped(item.folded.caption)
        folded = f"<details><summary>{caption}</summary>{_html_table(item.folded)}</details>"
    return (
        f'<div class="item {_escaped(item.mark).lower()}"><h3><b>{_escaped(item.mark)}</b> {_coded(item.title)}</h3>'
        f"<p>{_coded(item.text)}</p><p>→ {_coded(item.advice)}</p>{folded}</div>\n"
    )


def _html_table(grid: Grid) -> str:
    attributes = _class_attributes(grid)
    head = "".join(
        f"<th scope=col {attribute}>{_escaped(text)}</th>"
        for attribute, text in zip(attributes, grid.headers, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td {attribute}>{_drawn(cell)}</td>" for attribute, cell in zip(attributes, row, strict=True))
        + "</tr>\n"
        for row in grid.rows
    )
    caption = f"<caption>{_escaped(grid.caption)}</caption>"
    table = f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>"
    # it can be scrolled with the keyboard too, where it is wider than the window
    return f'<div class="wide" tabindex="0" role="region" aria-label="{_escaped(grid.caption)}">{table}</div>\n'


def _class_attributes(grid: Grid) -> list[str]:
    """Return the class attribute of each column: figures, text of several lines, or none."""
    right = _right(grid)
    long = {
        column for row in grid.rows for column, cell in enumerate(row) if isinstance(cell, str) and len(cell) > _LONG
    }
    return [
        'class="n"' if column in right else 'class="t"' if column in long else "" for column in range(len(grid.headers))
    ]


def _right(grid: Grid) -> set[int]:
    """Return the columns that hold numbers alone, which are aligned to the right."""
    columns = zip(*grid.rows, strict=True)
    return {
        column for column, cells in enumerate(columns) if all(isinstance(cell, int | Figure | None) for cell in cells)
    }


def _text(cell: Cell) -> str:
    if isinstance(cell, Spark):
        return plots.letters(cell.values)
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell


def _drawn(cell: Cell) -> str:
    return plots.spark(cell.values, cell.what) if isinstance(cell, Spark) else _coded(_text(cell))


def _marked(text: str) -> str:
    """Return text escaped for Markdown, in one line; what stands in backticks stays code."""
    one = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|*\[\]])", r"\\\1", one)


def _escaped(text: str) -> str:
    return escape(" ".join(text.split()))


def _coded(text: str) -> str:
    """Return text escaped for HTML; backticks become code, and an arrow one letter that no line end parts."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _escaped(text.replace(" -> ", " → ")))


_STYLE = """
:root{--ground:#fff;--ink:#1b2330;--soft:#5b6675;--rule:#dfe4ea;--band:#f5f7f9;
--main:#2f6fb3;--good:#3d8f5f;--odd:#b7791f;--bad:#c0392b;--pale:#aeb9c6}
@media(prefers-color-scheme:dark){:root{--ground:#14181e;--ink:#e6eaf0;--soft:#9aa6b4;--rule:#2c343e;--band:#1b2129;
--main:#6aa9e9;--good:#69c08c;--odd:#e0ab52;--bad:#f0796a;--pale:#55616f}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1140px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:26px;line-height:1.2;margin:0}h1+p{margin:4px 0 16px;color:var(--soft)}
h2{font-size:19px;margin:36px 0 8px;padding-top:12px;border-top:1px solid var(--rule)}
p{margin:8px 0;max-width:80ch}
.item{border-left:4px solid var(--odd);padding:2px 12px;margin:16px 0;overflow-wrap:anywhere}
.item p{margin:2px 0}.item.p1,.item.p2{border-color:var(--bad)}.item.p4{border-color:var(--pale)}
h3{font-size:15px;margin:0}
.verdict{font-size:19px;font-weight:600;padding:10px 14px;border-left:6px solid;background:var(--band);max-width:none}
.well{border-color:var(--good)}.ill{border-color:var(--bad)}
nav{display:flex;flex-wrap:wrap;gap:2px 16px;margin-top:12px}a{color:var(--main)}
figure{margin:16px 0}figcaption,caption{font-weight:600;text-align:left;padding:4px 0;color:var(--soft)}
details caption{display:none}.item details{margin-bottom:4px}summary{cursor:pointer;color:var(--main);margin:8px 0}
.plot{display:block;width:100%;height:auto;max-width:1100px}
.plot text{font:11px system-ui,sans-serif;fill:var(--soft)}
.main{fill:var(--main)}.good{fill:var(--good)}.odd{fill:var(--odd)}.bad{fill:var(--bad)}.pale{fill:var(--pale)}
.none{fill:none;pointer-events:all}
.grid{stroke:var(--rule)}.mark{stroke:var(--ink);stroke-width:1.5}
.spark{width:110px;height:22px;display:block}.spark polyline{fill:none;stroke:var(--main);stroke-width:1.5}
.spark circle{fill:var(--main)}
.wide{overflow-x:auto;margin:12px 0}
table{border-collapse:collapse;font-size:14px}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th{white-space:nowrap;color:var(--soft);font-weight:600}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.t{min-width:30ch}td:first-child:not(.t){white-space:nowrap}
code{font:13px ui-monospace,monospace;background:var(--band);padding:1px 4px;border-radius:3px}
@media print{nav{display:none}main{max-width:none;padding:0}section{break-inside:avoid}}
""".strip()
