"""All contracts are read together: what one says of another is true, and whatever is wrong is told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from src.contract import documents, ml, seeds, tables
from src.contract.errors import ContractFile, hint, listed
from src.contract.features import check_scored
from src.contract.feeds import agreed
from src.contract.model import Contracts, Mart, Table
from src.errors import BoathouseError, ContractError, ContractErrors


def load(root: Path) -> Contracts:
    """Return every contract below root/silver and root/gold.

    Raises:
        ContractErrors: everything that is wrong with any of them.
    """
    errors: list[BoathouseError] = []
    files = documents.discover(root, errors)
    silver: list[tuple[ContractFile, Table]] = []
    marts: list[Mart] = []
    for file in files:
        documents.read(file)
        if file.document and file.layer == "silver":
            silver += [(file, table) for table in tables.silver(file)]
        elif file.document:
            marts.append(tables.mart(file))
    empty = [f"{path.relative_to(root.parent)} is empty: no mart yet" for path in documents.empty_marts(root)]
    gold = {table.id: table for mart in marts for table in mart.tables}
    models = ml.discover(root, errors)
    left_out = ml.left_out(models, gold)
    contracts = Contracts(
        feeds=agreed(silver),
        silver={table.id: table for _, table in silver},
        gold=gold,
        marts={mart.name: mart for mart in marts},
        notes=(*empty, *left_out.values(), *seeds.notes(root)),
        seeds=seeds.discover(root, errors),
        models={name: model for name, model in models.items() if name not in left_out},
    )
    _check_ids([file for file in files if file.document])
    _check_references(files, {**contracts.silver, **contracts.gold})
    ml.check_tables(contracts.models, {**contracts.silver, **contracts.gold}, errors)
    contracts = replace(contracts, gold={name: _scored(table, contracts) for name, table in contracts.gold.items()})
    errors += _wrong_scores(contracts)
    if errors:
        raise ContractErrors(errors)
    return contracts


def _scored(table: Table, contracts: Contracts) -> Table:
    """Return a gold table, one of scores with what it is made of: the model, its features and its label's table."""
    model = contracts.models.get(table.scored_by or "")
    return replace(table, sources=(*sorted({model.features, model.label.table}), model.id)) if model else table


def _wrong_scores(contracts: Contracts) -> Iterator[ContractError]:
    declared = {**contracts.silver, **contracts.gold}
    for table in contracts.gold.values():
        if table.scored_by and table.scored_by not in contracts.models:
            names = [name.removeprefix(f"{ml.LAYER}.") for name in contracts.models]
            name = table.scored_by.removeprefix(f"{ml.LAYER}.")
            yield ContractError(f"{table.id}: no model {name}", where=table.path, fix=hint(name, names))
        elif table.scored_by and (features := declared.get(contracts.models[table.scored_by].features)):
            yield from check_scored(table, features)


def _check_ids(files: Sequence[ContractFile]) -> None:
    seen: dict[str, ContractFile] = {}
    for file in files:
        name = file.document["id"]
        other = seen.setdefault(name, file)
        if other is not file:
            file.error(f"id {name} is also in {other.shown}", "id", "give each contract its own id")


def _check_references(files: Sequence[ContractFile], tables: Mapping[str, Table]) -> None:
    """Add an error for each table or column a contract names that is not declared.

    What contracts that cannot be read declare is not known, so names of theirs are let through.
    """
    broken = {(file.layer, file.domain) for file in files if not file.document}
    for file in files:
        for key, table, columns in file.references:
            if table in tables:
                file.check_columns(columns, [column.name for column in tables[table].columns], key)
            elif tuple(table.split(".")[:2]) not in broken:
                file.error(f"no table {table}", key, hint(table, tables))
        for key, table, columns in file.dictionaries:
            known = [column.name for column in tables[table].columns] if table in tables else list(columns)
            if not set(columns) & set(known):
                fix = f"name a table with one of {listed(columns)}; it has {listed(known)}"
                file.error(f"dictionary {table} has no column of `by`", key, fix)
