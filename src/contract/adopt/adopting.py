"""A file is read, made ours table by table, and tried: what comes out loads, or the errors are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.contract import documents
from src.contract.adopt import older
from src.contract.adopt.changes import Change, Changes, objects, snake
from src.contract.adopt.refused import loaded, without_refused
from src.contract.adopt.tables import Names, adopted_table
from src.contract.errors import ContractFile, listed
from src.errors import BoathouseError, ContractError, ContractErrors

_WIDTH = 120


@dataclass(frozen=True)
class Adopted:
    """The contracts made of one file, by the path each belongs at, and all that was changed."""

    files: Mapping[Path, str]
    changes: tuple[Change, ...]


def adopt(path: Path, root: Path, domain: str | None = None) -> Adopted:
    """Return contracts of ours for each table of an ODCS contract of version 2 or 3; writes nothing.

    `root` is the folder of the contracts; `domain` is the one that the tables are put in, by default the contract's.

    Raises:
        ContractErrors: it is no such contract, or nothing of ours can be made of it.
    """
    changes = Changes()
    document = _document(path)
    if older.is_older(document):
        document = older.as_version_3(document, changes)
    tables = objects(document.get("schema"))
    if not tables:
        raise _refused(path, "no table in schema", "write `schema:` with a table and its properties")
    domain = domain or snake(str(document.get("domain") or path.name.partition(".")[0]), documents.RESERVED, "domain")
    for at, table in enumerate(tables):
        table["name"] = str(table.get("name") or table.get("physicalName") or f"table_{at + 1}")
    names = Names.from_tables(tables)
    files: dict[Path, str] = {}
    errors: list[BoathouseError] = []
    for table in tables:
        changes.table = name = names.tables[table["name"]]
        target = root / "silver" / domain / f"{name}.yaml"
        if target in files or not objects(table.get("properties")):
            changes.add(name, "a second table of this name" if target in files else "a table without columns: left out")
            continue
        if not loaded(document, target)[1]:  # one of ours
            files[target] = _text(document, path)
            continue
        made, found = without_refused(adopted_table(document, table, names, domain, changes), target, changes)
        errors += found
        files[target] = _text(made, path)
    if errors:
        raise ContractErrors(errors)
    if not files:
        raise _refused(path, "no table has columns", "write its `properties:`, or `main.py draft` from its files")
    return Adopted(files, tuple(changes.found))


def _document(path: Path) -> dict[str, Any]:
    errors: list[BoathouseError] = []
    file = ContractFile(path, "silver", path.parent.name, str(path), errors)
    text = file.text(path)
    document = documents.parse(text, file) if text else None
    if errors or document is None:
        raise ContractErrors(errors)
    if "schema" not in document and "dataset" not in document:
        other = next((key for key in ("dataContractSpecification", "models", "openapi") if key in document), None)
        found = f"{other}, another standard's" if other else listed(list(document)[:8])
        raise _refused(
            path, f"no ODCS contract: it has {found}", "export it as ODCS first (`datacontract export odcs`)"
        )
    return document


def _refused(path: Path, what: str, fix: str) -> ContractErrors:
    return ContractErrors([ContractError(what, where=path, fix=fix)])


def _text(document: Mapping[str, Any], source: Path) -> str:
    import yaml

    text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=None)
    return f"# adopted from {source.name}\n{text}"
