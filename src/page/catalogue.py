"""The catalogue: the screens of tables, marts and lineage as a folder of files that opens anywhere, without a server.

It is made from the lake as its last run left it, so that the same lake gives the same bytes. It is sent round, so that
it shows fewer values than the page, by one rule:

- No value of a column that is classified as anything but public or internal, nor of one that is made of such a column
  and has no classification of its own.
- No row of bronze or quarantine, which hold values as they came, and no values that audits or errors name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment

from src.contract import Column, Table
from src.errors import from_os_error
from src.facts import Facts, State, read_facts
from src.facts.marts import MartFacts, read_mart
from src.facts.runs import read_runs
from src.facts.samples import Sample
from src.masking.reader import masks_of_everybody
from src.masking.resolving import closed_columns
from src.origins import read_all_origins
from src.page import lines, rendering, tables
from src.page.screens import mart as marts
from src.project import Project
from src.proof.columns import Reference

FOLDER = "catalogue"
_OPEN = ("", "public", "internal")  # classifications of columns whose values may leave
_LINK = re.compile(r'(href|src)="/([^"]*)"')
_STATIC = ("catalogue.css", "catalogue.js", "chart.css", "copy.js", "icon.svg", "lineage.css", "mart.css", "page.css")
_ASSETS = (*_STATIC, "table.css")
_NO_ROWS = "Bronze holds values as they came, before anything is classified: none of its rows are in the catalogue."
_FAILED = "its last step failed; readers keep the last good version"


@dataclass(frozen=True)
class Written:
    """The files of a catalogue, and those of them that changed."""

    folder: Path
    files: int
    changed: int
    removed: int


def write(project: Project) -> Written | None:
    """Write the catalogue of a lake below its data folder, and remove what is no longer in it; None before any run.

    Raises:
        BoathouseError: the lake cannot be read, or there is no writing in the folder.
    """
    files = rendered(project)
    if not files:
        return None
    folder = project.settings.data_dir / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        changed = [name for name, content in files.items() if _put(folder / name, content)]
        gone = [path for path in folder.glob("*.html") if path.name not in files]
        for path in gone:
            path.unlink()
    except OSError as error:
        raise from_os_error(error, folder) from error
    return Written(folder, len(files), len(changed), len(gone))


def _put(path: Path, content: bytes) -> bool:
    if path.is_file() and path.read_bytes() == content:
        return False
    path.write_bytes(content)
    return True


def rendered(project: Project) -> dict[str, bytes]:
    """Return every file of the catalogue by its name; none before any run.

    Raises:
        BoathouseError: the lake cannot be read.
    """
    last = read_runs(project, 1)
    if not last:
        return {}
    facts = read_facts(project, last[0].ended_at, on_disk=False)
    catalogue = _Catalogue(project, facts, hidden_columns(project))
    pages = {name: _relative(text).encode() for name, text in catalogue.pages()}
    return pages | {name: (rendering.HERE / "static" / name).read_bytes() for name in _ASSETS}


def _relative(text: str) -> str:
    """Return a page with its links to other files of the folder."""
    return _LINK.sub(lambda match: f'{match[1]}="{_file(match[2])}"', text)


def _file(address: str) -> str:
    """Return the file of the catalogue that shows what an address of the page does."""
    path, sign, part = address.partition("#")
    kind, _, rest = path.partition("/")
    if kind == "static":
        return rest
    if kind == "table":
        return f"{rest}.html{sign}{part}"
    if kind == "mart":
        return f"mart.{rest.replace('/', '.')}.html"
    if kind.startswith("lineage"):
        domain = kind.partition("?domain=")[2]
        return f"lineage.{domain}.html" if domain else "lineage.html"
    return "index.html"


def hidden_columns(project: Project) -> set[Reference]:
    """Return the columns whose values stay out of the catalogue, those of feeds that they are made of included."""
    return closed_columns(project, _is_closed)


def _is_closed(column: Column) -> bool:
    return (column.classification or "").lower() not in _OPEN or any(map(_is_closed, column.parts))


class _Catalogue:
    """The pages of one lake."""

    def __init__(self, project: Project, facts: Facts, hidden: set[Reference]) -> None:
        self._project, self._facts, self._hidden = project, facts, hidden
        self._origins = read_all_origins(project)
        self._masks = masks_of_everybody(project)
        self._templates: Environment = rendering.environment()
        self._templates.globals["static"] = True

    def pages(self) -> Iterator[tuple[str, str]]:
        """Yield the name and text of every page."""
        yield "index.html", self._page("index.html", entries=list(self._entries()))
        yield from self._lineages()
        for name in self._facts.tables:
            yield f"{name}.html", self._page("table.html", **self._of_table(name))
        for name, mart in self._project.contracts.marts.items():
            for table in (None, *(one.name for one in mart.tables)):
                found = self._without_hidden(
                    read_mart(self._project, name, table, self._facts.read_at, None, self._masks)
                )
                file = f"mart.{name}.html" if table is None else f"mart.{name}.{table}.html"
                yield file, self._page("mart.html", **marts.shown(found), whole=table is None)

    def _page(self, template: str, **values: Any) -> str:
        as_of = self._facts.runs[0] if self._facts.runs else None
        common = {"facts": self._facts, "as_of": as_of, "readonly": True, "form_token": "", "message": "", "path": ""}
        return rendering.rendered(self._templates, template, common | values)

    def _lineages(self) -> Iterator[tuple[str, str]]:
        facts = self._facts
        values: dict[str, Any] = {"around": "", "column": None, "found": None, "search": ""}
        folded = len(facts.tables) > lines.MOST
        whole = (
            lines.folded(facts, _domain_url) if folded else lines.of_tables(facts, facts.tables, rendering.table_url)
        )
        yield "lineage.html", self._page("lineage.html", **values, domain="", folded=folded, line=whole)
        for domain in facts.domains:
            names = lines.of_domain(facts, domain.name)
            line = lines.of_tables(facts, names, rendering.table_url, first=domain.name)
            text = self._page("lineage.html", **values, domain=domain.name, folded=False, line=line)
            yield f"lineage.{domain.name}.html", text

    def _of_table(self, name: str) -> dict[str, Any]:
        values = tables.content(self._project, self._facts, name, 1, rendering.table_url, self._masks)
        if values["table"].state is State.FAILED:
            values["why"] = [("", _FAILED)]  # the error may name values
        made = {column.name: self._origins.get((name, column.name)) for column in values["declared"].columns}
        return values | self._sample(name, values["sample"]) | {"made": made}

    def _sample(self, name: str, sample: Sample | None) -> dict[str, Any]:
        if name.startswith("bronze."):
            return {"sample": None, "hidden": _NO_ROWS}
        own = [column for table, column in sorted(self._hidden, key=str) if table == name and column]
        if sample is None or not own:
            return {}
        kept = [at for at, column in enumerate(sample.columns) if column not in own]
        names = list(sample.columns)
        shown = replace(
            sample,
            columns={names[at]: sample.columns[names[at]] for at in kept},
            rows=tuple(tuple(row[at] for at in kept) for row in sample.rows),
        )
        return {"sample": shown, "hidden": f"Left out, as they are classified or made of what is: {', '.join(own)}."}

    def _without_hidden(self, found: MartFacts) -> MartFacts:
        own = {column for table, column in self._hidden if table == found.table.id}
        measure = found.table.measure
        if measure and own & {measure.column, measure.by, measure.weight}:
            found = replace(found, course=None)
        if found.newest is None or not own:
            return found
        kept = [at for at, column in enumerate(found.newest.columns) if column not in own]
        newest = replace(
            found.newest,
            columns=tuple(found.newest.columns[at] for at in kept),
            numeric=tuple(found.newest.numeric[at] for at in kept),
            rows=tuple(tuple(row[at] for at in kept) for row in found.newest.rows),
        )
        return replace(found, newest=newest)

    def _entries(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the index lists: marts, then tables, gold first, each with what is searched in it."""
        for name, mart in sorted(self._project.contracts.marts.items()):
            yield _entry(f"/mart/{name}", name, "mart", mart.title, mart.purpose, (table.name for table in mart.tables))
        declared: dict[str, Table] = {**self._project.contracts.silver, **{one.id: one for one in self._project.marts}}
        for layer in ("gold", "silver", "bronze"):
            for name in sorted(one for one in self._facts.tables if one.startswith(f"{layer}.")):
                table = declared.get(name)
                columns = [column.name for column in table.columns] if table else ()
                about = table.description if table else self._project.contracts.feeds[name].path
                yield _entry(rendering.table_url(name), name, layer, name, about, columns) | {
                    "state": self._facts.tables[name].state
                }


def _entry(link: str, name: str, kind: str, title: str, about: str, inside: Iterable[str]) -> dict[str, Any]:
    names = list(inside)
    searched = " ".join([name, title, about, *names]).lower()
    return {
        "link": link,
        "kind": kind,
        "title": title,
        "about": about,
        "names": names,
        "searched": searched,
        "state": "",
    }


def _domain_url(domain: str) -> str:
    return f"/lineage?domain={domain}"
