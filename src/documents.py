"""Documents are rendered from what they describe, and never written by hand: `make docs` fixes a stale one.

A mart's README comes from its contract, `.env.example` and the settings table from src/settings.py, the
exit codes from src/errors.py, the commands from the Makefile; so are those of the Makefile that a new project gets. In
the project's README only what lies between two markers is rendered:

    <!-- settings -->
    ...
    <!-- /settings -->
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from src import errors, settings
from src.contract import AGGREGATES, Column, Expectation, Mart, Sla, Table, wording
from src.errors import UsageError, from_os_error
from src.gold.way import located
from src.project import Project
from src.proof import Proof

README = "README.md"
_PRODUCT = Path(__file__).resolve().parents[1]  # in a clone also the sample company's project
_PROJECT_MAKEFILE = "src/init/template/Makefile"
_MARK = "<!-- Rendered from contract.yaml by `make docs`: change the contract, not this file. -->"


def rendered(root: Path, project: Project) -> dict[Path, str]:
    """Return every rendered document of the project in `root`: its path and what it should say.

    Raises:
        UsageError: a marker in the README has no counterpart.
    """
    marts = project.contracts.marts.values()
    documents = {mart.path.with_name(README): mart_readme(mart, project) for mart in marts}
    documents[root / settings.ENV_EXAMPLE] = settings.env_template(sample_feed=root == _PRODUCT)
    if (root / README).is_file():
        documents[root / README] = _with_sections(root)
    if root == _PRODUCT:
        documents[root / _PROJECT_MAKEFILE] = project_makefile(root / "Makefile", root / _PROJECT_MAKEFILE)
    return documents


def stale(root: Path, project: Project) -> dict[Path, str]:
    """Return the documents that are not there or say something else, with what they should say."""
    return {path: text for path, text in rendered(root, project).items() if _read(path) != text}


def stale_readmes(project: Project) -> list[Path]:
    """Return the READMEs of marts that are not there or do not say what their contract says."""
    readmes = {mart.path.with_name(README): mart_readme(mart, project) for mart in project.contracts.marts.values()}
    return [path for path, text in readmes.items() if _read(path) != text]


def write(root: Path, project: Project) -> None:
    """Write the stale documents, and print which.

    Raises:
        UsageError: a mart has a README that somebody wrote; nothing was written.
    """
    documents = stale(root, project)
    for path in documents:
        _refuse_to_overwrite(root, path)
    for path, text in documents.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise from_os_error(error, path) from error
        print(f"wrote {path.relative_to(root)}")
    if not documents:
        print("0 changed: every document is up to date")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _refuse_to_overwrite(root: Path, path: Path) -> None:
    if path.name == README and path.parent != root and _MARK not in (_read(path) or _MARK):
        fix = "say it in contract.yaml, move the file away, then run `make docs` again"
        raise UsageError("not rendered but written by somebody", where=path, fix=fix)


# -- the project's README


def commands(makefile: Path) -> str:
    """Return the commands of the Makefile as the markdown table of the README."""
    listed = re.findall(r"^([a-z-]+):.*?## (.+)$", makefile.read_text(encoding="utf-8"), re.MULTILINE)
    return _grid(("command", "what it does"), [(f"`make {name}`", _text(meaning)) for name, meaning in listed])


def project_makefile(makefile: Path, template: Path) -> str:
    """Return the Makefile of a new project: the product's commands under the same names, with the same variables.

    What lies outside the two lines `# commands` and `# end of commands` of the template is its own. `ARGS` is handed on
    to every command.
    """
    text, own = makefile.read_text(encoding="utf-8"), template.read_text(encoding="utf-8")
    variables = text[text.index("# Taken as they were typed") : text.index(".DEFAULT_GOAL")].strip()
    target = r"^([a-z-]+): ready(?:-page|-ml)? ## (.+)\n((?:\t.+\n)+)"
    targets = {
        name: f"{name}: setup ## {meaning}\n{_of_a_project(recipe)}"
        for name, meaning, recipe in re.findall(target, text, re.MULTILINE)
        if name != "new"
    }
    phony = f".PHONY: {' '.join(targets)}"
    begin, rest = own.split("# commands\n")
    end = rest.split("# end of commands\n")[1]
    rendered = "\n\n".join([variables, phony, *(target.rstrip() for target in targets.values())])
    return f"{begin}# commands\n{rendered}\n# end of commands\n{end}"


def _of_a_project(recipe: str) -> str:
    """Return a recipe of the product's Makefile as one of a project, where the product is a program."""
    command = re.sub(r"\$\(PYTHON\) main\.py ([a-z-]+)", r"$(BOATHOUSE) \1 $(ARGS)", recipe)
    return command.replace("alerts $(ARGS) list", "alerts $(or $(ARGS),list)")


def exit_codes() -> str:
    """Return the exit codes as the markdown table of the README; the words are those of the tree in src/errors.py."""
    rows = [
        ("0", "everything was done, or there was nothing to do"),
        ("1", "`make check` found a law that does not hold"),
        *((code, meaning) for _, code, meaning in tree()),
        (str(errors.BUG_EXIT_CODE), "a bug: its traceback is in the log"),
        ("130, 143", "stopped by Ctrl-C, by TERM; the next run finishes the work"),
    ]
    return _grid(("code", "meaning"), rows)


def tree() -> list[tuple[str, str, str]]:
    """Name, exit code and meaning of every error in the tree that src/errors.py draws."""
    return re.findall(r"[├└]── (\w+) +(\d+) +(.+)", errors.__doc__ or "")


def _with_sections(root: Path) -> str:
    """Return the README with its rendered sections renewed; one without markers stays as it is."""
    text = (root / README).read_text(encoding="utf-8")
    sections = {
        "commands": lambda: commands(root / "Makefile"),
        "settings": settings.settings_table,
        "exit codes": exit_codes,
    }
    for name, content in sections.items():
        first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, marker, rest = text.partition(first)
        _, end, after = rest.partition(last)
        if text.count(first) > 1 or text.count(last) > 1 or (marker and not end) or (last in before):
            fix = f"write {first.strip()} once on a line of its own and {last} after it, or neither"
            raise UsageError(f"markers of the section {name} that do not match", where=root / README, fix=fix)
        if marker:
            text = f"{before}{first}{content().strip()}\n{last}{after}"
    return text


# -- a mart's README


def mart_readme(mart: Mart, project: Project) -> str:
    """Return the README of a mart: its meaning, owner, refresh rate, tables and every column."""
    parts = [
        f"# {_text(mart.title)}",
        _MARK,
        _list(_facts(mart)),
        *_section("Business definition", mart.purpose),
        *_section("Usage", mart.usage),
        *_section("Limitations", mart.limitations),
    ]
    resolved = {table.id: table for table in project.marts}
    for declared, table in zip(mart.document["schema"], mart.tables, strict=True):
        parts += _table(declared, resolved[table.id], project.proof(resolved[table.id]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(mart: Mart) -> Iterator[tuple[str, str]]:
    team = mart.document.get("team", {})
    name = team.get("name", "") if isinstance(team, dict) else ""
    yield "Owner", f"{mart.owner} ({name})" if name and name != mart.owner else mart.owner
    yield "Refresh rate", mart.refresh
    yield "Support", ", ".join(mart.support) or "none named"
    draft = ": it may change under this version" if mart.document["status"] == "draft" else ""
    yield "Version", f"{mart.version} ({mart.document['status']}{draft})"
    yield "Tables", ", ".join(f"`{table.id}`" for table in mart.tables)


def _section(title: str, text: str) -> list[str]:
    return [f"## {title}", _text(text)] if text else []


def _table(declared: Mapping[str, Any], table: Table, proof: Proof) -> list[str]:
    """Return one table of a mart. `declared` is its part of the contract, for what only a reader needs."""
    headers = ("column", "type", "meaning", "required", "rules", "classification")
    columns = _grid(headers, map(_column, table.columns))
    parts = [f"## {table.name}", _text(table.description), _list(_table_facts(declared, table, proof)), columns]
    expectations = [*(_expectation(expectation, table.id) for expectation in table.quality), *_notes(declared)]
    if expectations:
        parts += ["Quality expectations:", _grid(("expectation", "measured", "severity"), expectations)]
    return parts


def _table_facts(declared: Mapping[str, Any], table: Table, proof: Proof) -> Iterator[tuple[str, str]]:
    yield "Grain", _text(str(declared.get("dataGranularityDescription", "")))
    yield "Key", _names(table.key) or "none"
    yield "Partitioned by", ", ".join(_partition(table))
    yield "Reads", _names(table.sources)
    yield "Scored by", _scored(table)
    yield "Soft sources", _soft(table)
    yield "Recomputed", _recomputed(table, proof)
    yield "Service levels", "; ".join(map(_sla, table.slas))
    yield "Watched", _watched(table)
    yield "Main measure", _measured(table)


def _soft(table: Table) -> str:
    if not table.soft_sources:
        return ""
    return f"{_names(table.soft_sources)}: where it is not right, the table is built with its last good version"


def _scored(table: Table) -> str:
    if table.scored_by is None:
        return ""
    kept = "a row whose outcome is known keeps what was predicted"
    return f"the active version of `{table.scored_by}`; {kept}, an open one is scored again where its features change"


def _partition(table: Table) -> Iterator[str]:
    own = {column.name: column for column in table.columns}
    for name in table.partition_by:
        expression = own[name].expression
        yield f"`{name}`" + (f", computed as {wording.in_code(expression)}" if expression else "")


def _recomputed(table: Table, proof: Proof) -> str:
    if table.scored_by:
        return "the rows whose features, or whose version, changed"
    if table.refresh == "full" or not table.partition_by:
        return "whole, whenever a table it reads changes"
    also = {0: "", 1: " and the one that follows"}.get(table.lookback, f" and the {table.lookback} that follow")
    some = f"the partitions whose rows changed in a table it reads{also}"
    if proof.refusal and table.refresh == "partitions":
        return f"{some}, as the contract claims and every run checks"
    if proof.refusal:
        why = _text(located(table, proof.refusal))
        return f"whole, whenever a table it reads changes: {why}. To change that: {_text(proof.refusal.fix)}"
    others = [name for name in table.sources if name not in proof.cuts]
    return some + (f"; all of them when {_names(others)} changes" if others else "")


def _watched(table: Table) -> str:
    """Return in words what is watched of a long table; '' where nothing is asked for."""
    if table.watch is None:
        return ""
    text = f"`{table.watch.value}` day by day, for each series of {_names(table.watch.by)}"
    text += f"; each `{table.watch.source}` is to be fresh" if table.watch.source else ""
    return text + (f"; `{table.watch.dictionary}` says which series may exist" if table.watch.dictionary else "")


def _measured(table: Table) -> str:
    """Return in words what a table is looked at for; '' where its contract does not say."""
    if table.measure is None:
        return ""
    over = [name for name in (table.measured_by, table.measure.by) if name]
    text = f"`{table.measure.column}` by {_names(over)}, {AGGREGATES[table.measure.aggregate]}"
    return text + (f", each row weighed by `{table.measure.weight}`" if table.measure.weight else "")


def _column(column: Column) -> tuple[str, ...]:
    rules = wording.shown_rules(column)
    required = "yes" if column.required else ""
    meaning = _text(column.description)
    return (
        f"`{column.name}`",
        column.shown_type if column.form or column.parts else column.type.lower(),
        meaning,
        required,
        ", ".join(rules),
        column.classification or "",
    )


def _expectation(expectation: Expectation, table: str) -> tuple[str, str, str]:
    dimension = f" ({expectation.dimension})" if expectation.dimension else ""
    meaning = f"{_text(expectation.description)}{dimension}".strip()
    measured = (
        f"{wording.shown_measure(expectation, table)} {wording.shown_bound(expectation.operator, expectation.bound)}"
    )
    return meaning, measured, expectation.severity


def _notes(declared: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield expectations that a person has to look after."""
    for item in declared.get("quality", ()):
        if item.get("type") == "text":
            yield _text(str(item.get("description", ""))), "by a person", str(item.get("severity", ""))


def _sla(sla: Sla) -> str:
    return _text(wording.shown_promise(sla))


# -- markdown


def _grid(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _list(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}:** {value}" for name, value in facts if value)


def _names(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(text: str) -> str:
    """Return words of a contract as markdown: on one line, and never taken for a tag."""
    return _line(text).replace("<", "&lt;")


def _line(text: str) -> str:
    return " ".join(text.split())
