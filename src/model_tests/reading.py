"""Test files become tests; whatever is wrong with them is told at once, with its line.

A file `<domain or mart>/tests/<any>.yaml` has one or several tests by name. What a test names is looked up in the
contracts: a table or column that is not there is an error, and so is a test that could not fail.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from src.contract import TESTS, Table
from src.contract.errors import hint, listed
from src.errors import BoathouseError, ContractError, ContractErrors, UsageError, from_os_error
from src.model_tests import nodes
from src.model_tests.declared import LINE, REASONS, Given, ModelTest, Nested, Row
from src.model_tests.nodes import Node
from src.project import Project

_KEYS = ("table", "description", "run_date", "given", "expect")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read(project: Project) -> list[ModelTest]:
    """Return every test of the project's models, by table.

    Raises:
        ContractErrors: everything that is wrong with any test file.
    """
    errors: list[BoathouseError] = []
    found: list[ModelTest] = []
    folders: dict[Path, dict[str, Table]] = {}
    for table in (*project.contracts.silver.values(), *project.marts):
        folders.setdefault(table.path.parent / TESTS, {})[table.name] = table
    for folder, tables in folders.items():
        for path in sorted(folder.glob("*.y*ml")):
            found += _file(project, path, tables, errors)
    seen: dict[str, ModelTest] = {}
    for test in found:
        if (other := seen.setdefault(test.id, test)) is not test:
            what = f"{test.table.name} has another test {test.name}, in {other.where}"
            errors.append(ContractError(what, where=test.where, fix="give it another name"))
    if errors:
        raise ContractErrors(errors)
    return found


def select(tests: Sequence[ModelTest], chosen: Iterable[str]) -> list[ModelTest]:
    """Return the tests whose id, `<table id>.<test name>`, is one of the chosen, begins with one, or fits a pattern.

    Raises:
        UsageError: no test is meant by one of them.
    """
    wanted = set[str]()
    for text in chosen:
        meant = [test.id for test in tests if fnmatchcase(test.id, text) or f"{test.id}.".startswith(f"{text}.")]
        if not meant:
            tables = sorted({test.table.id for test in tests})
            raise UsageError(f"no test of {text}", fix=f"the tables with tests are {listed(tables) or 'none yet'}")
        wanted |= set(meant)
    return [test for test in tests if test.id in wanted] if chosen else list(tests)


def _file(project: Project, path: Path, tables: Mapping[str, Table], errors: list[BoathouseError]) -> list[ModelTest]:
    shown = path.relative_to(path.parents[4]).as_posix()  # from the folder that holds src/
    if path.suffix != ".yaml":
        errors.append(ContractError(f"{path.name} is not read", where=shown, fix=f"name it {path.stem}.yaml"))
        return []
    document = nodes.read(path, shown, errors)
    if document is None:
        return []
    found = []
    for name, node in document.pairs("the file").items():
        node = replace(node, test=name)
        if not _NAME.fullmatch(name):
            node.error(f"test name {name}", "write snake case: a small letter, then small letters, digits and _")
        before = len(errors)
        test = _Reader(project, path, tables, name, node).test()
        if test and len(errors) == before:
            found.append(test)
    return found


class _Reader:
    """Reads one test."""

    def __init__(self, project: Project, path: Path, tables: Mapping[str, Table], name: str, node: Node) -> None:
        self.project, self.path, self.tables, self.name, self.node = project, path, tables, name, node

    def test(self) -> ModelTest | None:
        """Return the test; None, with errors, where it is none. What is wrong beside that is told too."""
        layer = next(iter(self.tables.values())).layer
        given = self.node.known(f"test {self.name}", (*_KEYS, "quarantine") if layer == "silver" else _KEYS)
        table = self._table(given.get("table"))
        if table is None:
            return None
        if table.scored_by:
            fix = "test the features table; what a version of a model says is evaluated when it is trained"
            self.node.error(f"{table.name} is scored by a model, whose versions change", fix)
            return None
        if table.layer == "silver":
            loads = self._loads(table, given.get("given"))
        else:
            loads = (self._sources(table, given.get("given")),)
        expect = self._expected(table, given["expect"]) if "expect" in given else None
        quarantine = self._quarantine(given["quarantine"]) if "quarantine" in given else None
        if expect is None and quarantine is None:
            keys = "`expect:`, or `quarantine:`" if table.layer == "silver" else "`expect:`"
            self.node.error("a test that cannot fail: it expects nothing", f"write {keys} with the rows that come out")
        return ModelTest(
            table=table,
            name=self.name,
            description=given["description"].text("description") if "description" in given else "",
            where=self.node.where,
            loads=loads,
            expect=expect,
            quarantine=quarantine,
            run_date=self._run_date(table, given.get("run_date")),
        )

    def _table(self, node: Node | None) -> Table | None:
        """Return the table that is named, else the one of the file's name, else the only one."""
        if node is not None:
            name = node.text("table")
            if name and name not in self.tables:
                node.error(f"no table {name} beside the folder", hint(name, self.tables))
            return self.tables.get(name)
        if self.path.stem in self.tables:
            return self.tables[self.path.stem]
        if len(self.tables) == 1:
            return next(iter(self.tables.values()))
        self.node.error("no table", f"write `table:` with one of {listed(self.tables)}, or name the file after it")
        return None

    def _run_date(self, table: Table, node: Node | None) -> date | None:
        if node is None:
            if table.reads_run_date:
                fix = "write `run_date: 2026-01-31`, so that the test gives the same every day"
                self.node.error(f"{table.name} asks for run_date()", fix)
            return None
        text = node.text("run_date")
        if not table.reads_run_date:
            node.error(f"{table.name} does not ask for run_date()", "remove it")
        try:
            return date.fromisoformat(text)
        except ValueError:
            node.error(f"run_date {text}", "write a day, for example 2026-01-31")
            return None

    # -- given

    def _sources(self, table: Table, node: Node | None) -> dict[str, Given]:
        """Return the rows of every table that a gold table reads."""
        given = node.pairs("given") if node else {}
        found: dict[str, Given] = {}
        for name, rows in given.items():
            if name not in table.sources:
                rows.error(f"{table.name} does not read {name}", hint(name, table.sources))
                continue
            found[name] = self._rows(rows, f"given {name}", self.project.declared(name).stored_columns)
        missing = [name for name in table.sources if name not in {*given, *table.optional_sources}]
        if missing:
            fix = "write its rows below `given:`, `[]` for an empty table"
            (node or self.node).error(f"nothing is given of {listed(missing)}, which {table.name} reads", fix)
        return found

    def _loads(self, table: Table, node: Node | None) -> tuple[dict[str, Given], ...]:
        """Return the rows or files of a silver table's feeds: one load, or a list of loads that came in turn."""
        feeds = {feed.id: feed for feed in table.feeds}
        if node is None:
            self.node.error("nothing is given", f"write `given:` with rows of {listed(feeds)}")
            return ()
        loads = []
        for load in node.items("given") if node.raw.id == "sequence" else [node]:
            found: dict[str, Given] = {}
            for name, rows in load.pairs("given").items():
                if name not in feeds:
                    rows.error(f"{table.name} does not read {name}", hint(name, feeds))
                elif path := self._linked(rows):
                    found[name] = path
                else:
                    found[name] = self._rows(rows, f"given {name}", nested=feeds[name].format in ("ndjson", "json"))
            loads.append(found)
        if not any(found for load in loads for found in load.values()):
            node.error("nothing is given", "write the rows that land, or `{file: ...}`")
        return tuple(loads)

    # -- expected

    def _expected(self, table: Table, node: Node) -> tuple[Row, ...]:
        rows = self._rows(node, "expect", table.stored_columns)
        self._refuse_ragged(rows, node)
        return rows

    def _quarantine(self, node: Node) -> tuple[Row, ...]:
        """Return the rows that are rejected: some of their source values, and texts that their reasons contain."""
        rows = []
        for item in node.items("quarantine"):
            given = item.pairs("a row of quarantine")
            reasons = given.pop(REASONS, None)
            values = {name: self._plain(name, value) for name, value in given.items()}
            if LINE in values and len(values) > 1:
                item.error(f"{LINE} beside other columns", f"a line that no reader could split has {LINE} alone")
            if reasons is None:
                fix = f"write `{REASONS}: [...]` with a part of each reason, such as the column's name"
                item.error(f"a row of quarantine without {REASONS}", fix)
                continue
            texts = [reason.text(f"a reason in {REASONS}") for reason in reasons.items(REASONS)]
            rows.append(Row(values, item.where, tuple(texts)))
        self._refuse_ragged(rows, node, empty=True)
        return tuple(rows)

    def _refuse_ragged(self, rows: Sequence[Row], node: Node, empty: bool = False) -> None:
        """Add an error where rows name different columns: one left out does not matter, and null is a value."""
        names = dict.fromkeys(name for row in rows for name in row.values)
        for row in rows:
            left_out = [name for name in names if name not in row.values]
            if left_out and not (empty and LINE in names):
                what = f"the row leaves out {listed(left_out)}, which another row names"
                fix = "name the same columns in every row that is expected; write null where there is no value"
                node.errors.append(ContractError(what, where=f"{row.where}, {self.name}", fix=fix))
        if rows and not names and not empty:
            node.error("the rows name no column", "name those that matter")

    # -- rows

    def _rows(
        self, node: Node, what: str, columns: Collection[str] | None = None, *, nested: bool = False
    ) -> tuple[Row, ...]:
        """Return rows written inline, or in a file beside the test; of these columns, where they are known.

        `nested`: a value may be a list, or keys and values.
        """
        path = self._linked(node)
        if path is None and node.raw.id == "mapping":
            return ()  # with an error
        rows = self._fixture(path, node) if path else self._inline(node, what, nested)
        for name in dict.fromkeys(name for row in rows for name in row.values):
            if columns is not None and name not in columns:
                first = next(row for row in rows if name in row.values)
                error = ContractError(f"no column {name}", where=f"{first.where}, {self.name}", fix=hint(name, columns))
                node.errors.append(error)
        return rows

    def _inline(self, node: Node, what: str, nested: bool) -> tuple[Row, ...]:
        rows = []
        for item in node.items(what):
            given = item.pairs("a row")
            values = {n: value.value() if nested else self._plain(n, value) for n, value in given.items()}
            rows.append(Row(values, item.where))
        return tuple(rows)

    def _plain(self, name: str, node: Node) -> str | None:
        value = node.value()
        if isinstance(value, Nested):
            node.error(f"{name} is {node.kind}", "write one value, as text in quotes if need be")
            return None
        return value

    def _linked(self, node: Node) -> Path | None:
        """Return the file that stands for rows, `{file: ...}`; None where rows are written, or with an error."""
        if node.raw.id != "mapping":
            return None
        given = node.known("rows", ("file",))
        if "file" not in given:
            node.error("keys and values, where rows are meant", "write a list of rows, or `{file: ...}`")
            return None
        name = given["file"].text("file")
        path = self.path.parent / name
        if name and not path.is_file():
            beside = sorted(other.name for other in self.path.parent.iterdir() if other.suffix != ".yaml")
            given["file"].error(f"no file {name} beside {self.path.name}", hint(name, beside))
            return None
        return path if name else None

    def _fixture(self, path: Path, node: Node) -> tuple[Row, ...]:
        """Return the rows of a CSV file with a header, or of a JSON file with a list of objects."""
        shown = path.relative_to(self.path.parents[4]).as_posix()
        try:
            if path.suffix == ".csv":
                return self._csv_rows(path, shown)
            if path.suffix == ".json":
                return self._json_rows(path, shown)
        except OSError as error:
            node.errors.append(from_os_error(error, path))
            return ()
        except (ValueError, csv.Error) as error:
            node.errors.append(ContractError(f"{path.name} is not {path.suffix[1:].upper()}: {error}", where=shown))
            return ()
        node.error(f"file {path.name}", "write .csv, with a header, or .json, with a list of objects")
        return ()

    def _csv_rows(self, path: Path, shown: str) -> tuple[Row, ...]:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.DictReader(stream, strict=True, restkey="")
            rows = []
            for line in lines:
                if "" in line or None in line.values():
                    raise ValueError(f"line {lines.line_num} has another number of values than the header")
                rows.append(Row({name: text or None for name, text in line.items()}, f"{shown}, line {lines.line_num}"))
            return tuple(rows)

    def _json_rows(self, path: Path, shown: str) -> tuple[Row, ...]:
        objects = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=str, parse_int=str)
        if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
            raise ValueError("not a list of objects")
        rows = []
        for number, item in enumerate(objects, 1):
            nested = [name for name, value in item.items() if isinstance(value, list | dict)]
            if nested:
                raise ValueError(f"object {number}: {listed(nested)} is no single value")
            texts = {n: str(v).lower() if isinstance(v, bool) else v for n, v in item.items()}
            rows.append(Row(texts, f"{shown}, object {number}"))
        return tuple(rows)
