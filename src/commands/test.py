"""Check the project: contracts, models, the tests of models (given rows, these must come out), READMEs.

The tests stand in src/silver/<domain>/tests/*.yaml and src/gold/<mart>/tests/*.yaml, and run in a temporary folder:
the lake is neither read nor written. Exit code 3 if a contract, a model or a test file says what cannot be, 4 if a
test fails, 1 if the README of a mart is not what its contract says. With --select only the chosen tests are run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from src import console, documents
from src.commands import Call, json_argument
from src.commands.run import check_sources
from src.contract import Contracts
from src.errors import DataError
from src.model_tests import REASONS, Difference, Pair, Result, read, run_tests, select
from src.project import open_project
from src.project import select as select_tables
from src.run import binding

_SIGNS = "- expected, not found   + found, not expected   ~ expected > found"
_LONGEST = 120  # characters of a value


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--select",
        action="extend",
        type=lambda names: names.split(","),
        default=[],
        metavar="NAME[,NAME]",
        help="a table, a test (silver.sales.orders.name_of_test), what begins with it (gold.sales), or a pattern",
    )
    json_argument(parser)


def run(call: Call) -> int:
    results: list[Result] = []
    started = time.monotonic()
    with open_project(call.settings) as project:  # which reads every contract and parses every model
        check_sources(select_tables(project, None))
        for note in project.contracts.notes:
            console.note(note)
        binding.bind_all(project)
        stale = [] if call.args.select else documents.stale_readmes(project)
        for result in run_tests(project, select(read(project), call.args.select)):
            results.append(result)
            if not call.args.json:
                _print_result(result)
    failed = sum(not result.passed for result in results)
    if call.args.json:
        tests = [_as_json(result) for result in results]
        console.print_json({"failed": failed, "tests": tests, "stale_readmes": [str(path) for path in stale]})
    else:
        _print_sum(results, failed, time.monotonic() - started)
        if not (call.args.select or failed or stale):
            _print_project(project.contracts)
    for path in stale:
        console.complain(f"a README that does not say what its contract says\n  where: {path}\n  fix:   `make docs`")
    return DataError.exit_code if failed else int(bool(stale))


def _print_sum(results: Sequence[Result], failed: int, seconds: float) -> None:
    if not results:
        print("no tests yet: write src/gold/<mart>/tests/<table>.yaml, as docs/testing-models.md says")
        return
    if any(result.differences for result in results):
        print(_SIGNS)
    tests, tables = _counted(len(results), "test"), _counted(len({result.test.table.id for result in results}), "table")
    text = f"{failed} of {tests} failed" if failed else f"{tests} passed"
    colour = console.RED if failed else console.GREEN
    print(console.coloured(f"{text} ({tables}, {seconds:.1f} s)", colour, sys.stdout))


def _print_project(contracts: Contracts) -> None:
    tables = _counted(len(contracts.silver) + len(contracts.gold), "table")
    print(f"valid: the contracts and models of {tables}; up to date: {_counted(len(contracts.marts), 'README')}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# -- as text


def _print_result(result: Result) -> None:
    if result.passed:
        print(f"{console.coloured('✓', console.GREEN, sys.stdout)} {result.test.id}")
        return
    print(f"{console.coloured('✗', console.RED, sys.stdout)} {result.test.id}  ({result.test.where})")
    if result.error:
        print("\n".join(f"    {line}" for line in console.plain_lines(str(result.error)).split("\n")))
    for difference in result.differences:
        print(f"    {difference.table}: rows expected {difference.expected}, found {difference.found}")
        for line in console.aligned(_table(difference), "    "):
            print(line)


def _table(difference: Difference) -> list[list[str]]:
    """Return the rows that differ under their columns; where both sides are there, only what tells them apart."""
    at = _shown_columns(difference)
    header = ["", *(difference.columns[nth] for nth in at), ""]
    return [header, *(_cells(difference.columns, pair, at) for pair in difference.pairs)]


def _shown_columns(difference: Difference) -> list[int]:
    every = range(len(difference.columns))
    if any(pair.expected is None or pair.found is None for pair in difference.pairs):
        return list(every)
    named = {*difference.key, *(name for pair in difference.pairs for name in pair.differing)}
    return [nth for nth in every if difference.columns[nth] in named]


def _cells(columns: Sequence[str], pair: Pair, at: Sequence[int]) -> list[str]:
    values = pair.expected or pair.found or ()
    sign = "+" if pair.expected is None else "-" if pair.found is None else "~"
    cells = [_shown(columns[nth], values[nth]) for nth in at]
    if pair.expected is not None and pair.found is not None:
        differing = [nth for nth in at if columns[nth] in pair.differing]
        for nth in differing:
            cells[at.index(nth)] += f" > {_shown(columns[nth], pair.found[nth])}"
    return [sign, *cells, pair.where.rpartition(", ")[2]]


def _shown(column: str, value: str | None) -> str:
    if value is None:
        return "null"
    text = console.plain("; ".join(json.loads(value)) if column == REASONS else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


# -- as JSON


def _as_json(result: Result) -> dict[str, Any]:
    error = result.error
    return {
        "id": result.test.id,
        "table": result.test.table.id,
        "name": result.test.name,
        "description": result.test.description,
        "where": result.test.where,
        "passed": result.passed,
        "seconds": round(result.seconds, 3),
        "error": {"what": error.what, "where": error.where, "fix": error.fix} if error else None,
        "differences": [_difference_as_json(difference) for difference in result.differences],
    }


def _difference_as_json(difference: Difference) -> dict[str, Any]:
    def row(values: Sequence[str | None] | None) -> dict[str, Any] | None:
        if values is None:
            return None
        pairs = zip(difference.columns, values, strict=True)
        return {name: json.loads(v) if name == REASONS and v else v for name, v in pairs}

    return {
        "of": difference.table,
        "expected": difference.expected,
        "found": difference.found,
        "rows": [
            {"expected": row(p.expected), "found": row(p.found), "where": p.where, "differing": p.differing}
            for p in difference.pairs
        ],
    }
