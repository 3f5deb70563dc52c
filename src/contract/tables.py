"""A document becomes a silver table, or a mart with its tables: each with a version, its models and what they need."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from src.contract import custom
from src.contract.columns import check_same_name, columns
from src.contract.documents import declarations
from src.contract.errors import ContractFile, Part, hint, listed
from src.contract.features import check_features, known_at, scored_by
from src.contract.feeds import feeds
from src.contract.measures import measure
from src.contract.model import INTEGERS, MOMENTS, Feed, Mart, Sla, Table
from src.contract.promises import expectations, relationships, service_levels
from src.contract.versions import SEMVER
from src.contract.watching import watch

_PARTITION_TYPES = ("VARCHAR", *INTEGERS, "BOOLEAN", "DATE")


def silver(file: ContractFile) -> list[Table]:
    """Return the one table of a silver contract; an empty list, with an error added, where it declares another."""
    document = _checked(file)
    domain = document.node.get("domain", file.domain)
    if domain != file.domain:
        document.error(f"domain {domain}; the folder is {file.domain}", "domain", "write the folder's name")
    declared = feeds(document)
    objects = document.parts("schema")
    if len(objects) != 1:
        document.error(f"{len(objects)} tables in schema", "schema", "a silver contract declares exactly one table")
    if objects and objects[0].node["name"] != file.path.stem:
        what = f"table {objects[0].node['name']}; the file is {file.path.name}"
        objects[0].error(what, "name", "let them be equal")
    return [table for table in _tables(document, declared) if table.name == file.path.stem]


def mart(file: ContractFile) -> Mart:
    """Return the mart of a gold contract."""
    document = _checked(file)
    node = document.node
    if "servers" in node:
        document.error("a mart has no servers", "servers", "remove them: its models read tables")
    tables = _tables(document)
    if not tables:
        document.error("0 tables in schema", "schema", "a mart declares at least one table")
    _check_models(tables, document)
    description = Part(file, node.get("description", {}), "description")
    made = Mart(
        name=file.domain,
        version=node["version"],
        title=node.get("name", file.domain),
        owner=_owner(node),
        purpose=description.text("purpose"),
        usage=description.text("usage"),
        limitations=description.text("limitations"),
        support=tuple(
            f"{item['channel']} ({item['url']})" if "url" in item else item["channel"]
            for item in node.get("support", ())
        ),
        refresh=_refresh_rate(tables),
        tables=tuple(tables),
        path=file.path,
        document=node,
    )
    _check_governance(made, document)
    return made


def _checked(file: ContractFile) -> Part:
    """Return the whole document, its head checked."""
    document = Part(file, file.document)
    version = document.node["version"]
    if not SEMVER.fullmatch(version):
        document.error(f"version {version}", "version", "write MAJOR.MINOR.PATCH, for example 1.0.0")
    if not document.text("status"):
        document.error("no status", "status", "write `status: active`, or proposed, draft, deprecated, retired")
    return document


def _check_governance(mart: Mart, document: Part) -> None:
    """Add an error where a mart lacks its business definition, owner or refresh rate."""
    if not mart.purpose:
        fix = "write what the mart is for, in business words"
        document.error("no business definition", "description.purpose", fix)
    if not mart.owner:
        document.error("no owner", "team", "name a member with `role: owner`")
    if not mart.refresh:
        document.error("no refresh rate", "slaProperties", "write `{property: frequency, value: 1, unit: d}`")


def _check_models(tables: Sequence[Table], document: Part) -> None:
    """Add an error where a table of a mart has not exactly one model beside it, or a model no table."""
    for table, part in zip(tables, document.parts("schema"), strict=True):
        sql, python = f"{table.name}.sql", f"{table.name}.py"
        models = [name for name, found in ((sql, table.sql), (python, table.python)) if found is not None]
        if table.scored_by and models:
            fix = f"keep {listed(models)}, or scoredBy"
            part.error(f"table {table.name} is scored by a model, and has {listed(models)}", fix=fix)
        if not table.scored_by and len(models) != 1:
            fix = f"keep exactly one of {sql}, {python} beside the contract"
            part.error(f"table {table.name} has {listed(models) or 'no model'}", fix=fix)
        if table.python and not table.sources:
            fix = "declare what the model reads in `transformSourceObjects: [silver.<domain>.<table>]`"
            part.error(f"no sources of {table.python.name}", "properties", fix)
    names = [table.name for table in tables]
    # page.py: where it is no model, it is the mart's notebook
    known = {"contract.yaml", "page.py", *(name + suffix for name in names for suffix in (".sql", ".py"))}
    for path in declarations(document.file.path.parent):
        if path.is_dir() or (path.suffix in (".yaml", ".yml", ".sql", ".py") and path.name not in known):
            what = f"{path.name} belongs to no table; the contract has {listed(names)}"
            document.error(what, fix="rename or remove it")


def _owner(node: Mapping[str, Any]) -> str:
    """Return the member whose role is owner, else the first member, else the team's name."""
    team = node.get("team", {})
    team = {"members": team} if isinstance(team, list) else team
    members = team.get("members", [])
    chosen = [member for member in members if member.get("role", "").lower() == "owner"] or members
    return str(chosen[0].get("name") or chosen[0]["username"] if chosen else team.get("name", "")).strip()


def _refresh_rate(tables: Sequence[Table]) -> str:
    """Return in words how often a mart is renewed; '' where no service level says so."""
    rates = (sla.rate() for table in tables for sla in table.slas if sla.property == "frequency" and sla.unit)
    return next(rates, "")


# -- tables


def _tables(document: Part, declared: tuple[Feed, ...] = ()) -> list[Table]:
    file, objects = document.file, document.parts("schema")
    names = [part.node["name"] for part in objects]
    for index, part in enumerate(objects):
        file.check_name("table", names[index], part.key_path("name"))
        if names[index] in names[:index]:
            part.error(f"duplicate table {names[index]}", "name", "keep one of them")
    everywhere = custom.values(document, custom.TABLE[file.layer])
    slas = service_levels(document)
    found = []
    for part, promised in zip(objects, slas, strict=True):
        settings = {**everywhere, **custom.values(part, custom.TABLE[file.layer])}
        found.append(_table(part, document.node, declared, settings, promised))
    return found


def _table(
    part: Part,
    contract: Mapping[str, Any],
    declared: tuple[Feed, ...],
    settings: Mapping[str, Any],
    slas: tuple[Sla, ...],
) -> Table:
    file, name = part.file, part.node["name"]
    sequence = settings.get("sequenceBy", [])
    sql, python = (path if path.is_file() else None for path in map(file.path.with_name, (f"{name}.sql", f"{name}.py")))
    check_same_name(part)
    table = Table(
        layer=file.layer,
        domain=file.domain,
        name=name,
        version=contract["version"],
        status=str(contract.get("status", "")),
        columns=columns(part),
        key=_positioned(part, "primaryKey", "primaryKeyPosition"),
        partition_by=_positioned(part, "partitioned", "partitionKeyPosition"),
        sequence_by=(sequence,) if isinstance(sequence, str) else tuple(sequence),
        feeds=declared,
        sources=_sources(part) if python else (),
        sql=file.text(sql) if sql else None,
        python=python,
        refresh=settings.get("refresh", "incremental"),
        lookback=settings.get("lookback", 0),
        optional_sources=tuple(dict.fromkeys((*settings.get("optionalSources", ()), *settings.get("softSources", ())))),
        soft_sources=tuple(settings.get("softSources", ())),
        description=part.text("description"),
        path=file.path,
        z_order_by=tuple(settings.get("zOrderBy", ())),
        delete_when=settings.get("deleteWhen"),
        history=settings.get("history", "scd1"),
        quality=expectations(part),
        relationships=relationships(part),
        slas=slas,
        owner=_owner(contract),
        critical=settings.get("critical", False),
        event_time=settings.get("eventTime"),
        known_at=known_at(settings.get("knownAt")),
        scored_by=scored_by(settings.get("scoredBy")),
        sequence_as_text=settings.get("sequenceOrder") == "text",
        on_conflict=settings.get("onConflict"),
        max_rejected=custom.share(settings.get("maxRejected")),
        replaces=_replaces(settings.get("replaces")),
        max_removed=custom.share(settings.get("maxRemoved")),
    )
    _check_table(table, part)
    check_features(table, part)
    table = replace(table, business_date=_business_date(table, settings.get("businessDate"), part))
    _check_drift(table, part)
    table = replace(table, watch=watch(table, settings.get("watch"), part))
    return replace(table, measure=measure(table, settings.get("measure"), part))


def _replaces(value: str | list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else () if isinstance(value, str) else tuple(value)


def _positioned(table: Part, flag: str, position: str) -> tuple[str, ...]:
    """Return the names of the flagged properties by position; a single one needs none."""
    chosen = [part for part in table.parts("properties") if part.node.get(flag, False)]
    numbers = [part.node.get(position, -1) for part in chosen]
    for part in table.parts("properties"):
        number = part.node.get(position, -1)
        if part not in chosen:
            if number != -1:
                part.error(f"{position} {number} without {flag}", position, f"write `{flag}: true`, or remove it")
        elif len(chosen) > 1 and (number < 1 or numbers.count(number) > 1):
            found = "no position" if number == -1 else f"position {number}"
            fix = f"number the {len(chosen)} columns 1, 2, ..."
            part.error(f"column {part.node['name']} has {found}", position, fix)
    return tuple(part.node["name"] for part in sorted(chosen, key=lambda part: part.node.get(position, -1)))


def _sources(table: Part) -> tuple[str, ...]:
    """Return the ids of the tables a Python model reads: the union of its columns' transformSourceObjects."""
    sources: dict[str, None] = {}
    for part in table.parts("properties"):
        for source in part.node.get("transformSourceObjects", ()):
            if source not in sources:
                table.file.references.append((part.key_path("transformSourceObjects"), source, ()))
            sources[source] = None
    return tuple(sources)


def _check_table(table: Table, part: Part) -> None:
    kinds = {column.name: column.type for column in table.columns}
    if not kinds:
        part.error(f"table {table.name} has no columns", "properties", "write `properties:`, one per column")
    named = set(table.sequence_by) - _sql_in(table.sequence_by)
    part.file.check_columns(sorted(named), kinds, part.key_path("customProperties[sequenceBy]"))
    part.file.check_columns(table.z_order_by, kinds, part.key_path("customProperties[zOrderBy]"))
    if inside := set(table.z_order_by) & set(table.partition_by):
        fix = "remove it: a partition holds one value of it"
        part.error(f"zOrderBy names the partition column {listed(inside)}", "customProperties[zOrderBy]", fix)
    for column, declared in zip(table.columns, part.parts("properties"), strict=True):
        if column.name in table.partition_by and column.type not in _PARTITION_TYPES:
            fix = f"partition by one of {listed(_PARTITION_TYPES)}"
            declared.error(f"partition column {column.name} is {column.type}", "partitioned", fix)
        if column.name in table.partition_by and not column.required:
            declared.error(f"partition column {column.name} may be absent", "required", "write `required: true`")
    _check_nested(table, part)
    for name in table.z_order_by:
        if kinds.get(name, "").startswith("DECIMAL"):  # the library cuts a column's place in the order at 16 bytes
            fix = "name another column"
            part.error(f"zOrderBy of {name}, a decimal, orders nothing", "customProperties[zOrderBy]", fix)
    if table.lookback and not table.partition_by:
        fix = "mark a column `partitioned: true`, or remove lookback"
        part.error(f"lookback {table.lookback} without partitions", "customProperties[lookback]", fix)
    if table.refresh == "partitions" and not table.partition_by:
        fix = "mark a column `partitioned: true`, or remove refresh"
        part.error("refresh partitions without partitions", "customProperties[refresh]", fix)
    if table.on_conflict and not table.key:
        fix = "mark the key `primaryKey: true`: rows that differ in nothing are in conflict with none"
        part.error("onConflict without a key", "customProperties[onConflict]", fix)
    if table.delete_when and not table.key:
        fix = "mark the key `primaryKey: true`: a deletion takes away the row of a key"
        part.error("deleteWhen without a key", "customProperties[deleteWhen]", fix)
    if table.history == "scd2":
        _check_history(table, kinds, part)
    if table.replaces is not None:
        _check_statements(table, part)
    elif table.max_removed:
        fix = "write `replaces`, or remove it: no other table loses rows that a file lacks"
        part.error("maxRemoved without replaces", "customProperties[maxRemoved]", fix)


def _check_statements(table: Table, part: Part) -> None:
    """Add an error for each thing beside `replaces` with which a file could not state a slice whole."""
    at, names = "customProperties[replaces]", [column.name for column in table.columns]
    part.file.check_columns(table.replaces or (), names, part.key_path(at))
    slices = [name for name in table.replaces or () if name in names]
    outside = [name for name in slices if table.key and name not in table.key]
    if outside:
        fix = "mark it `primaryKey: true`: a row belongs to one slice for good"
        part.error(f"replaces {listed(outside)}, which is not in the key", at, fix)
    required = {column.name for column in table.columns if column.required}
    for name in () if table.key else slices:
        if name not in required:
            part.error(f"replaces {name}, which may be absent", at, f"write `required: true` at {name}")
    if len(table.feeds) > 1:
        feeds = listed(feed.name for feed in table.feeds)
        part.error(
            f"replaces with {len(table.feeds)} feeds: {feeds}", at, "keep one feed: its files are the statements"
        )
    if table.delete_when:
        fix = (
            "remove it: a row that the newest statement lacks is gone; to leave rows out, let the sibling SQL drop them"
        )
        part.error("deleteWhen with replaces", "customProperties[deleteWhen]", fix)
    if table.history == "scd2" and not required.issuperset(table.sequence_by):
        fix = f"write `required: true` at {listed(table.sequence_by)}: without its moment a statement has no place"
        part.error(f"replaces, and {listed(table.sequence_by)} may be absent", at, fix)


def _check_nested(table: Table, part: Part) -> None:
    """Add an error where a list, an object or JSON would tell rows apart, or order them."""
    fix = "name a column of one value: `transformLogic` can make one of a part of it"
    for column, declared in zip(table.columns, part.parts("properties"), strict=True):
        what = "json" if column.form == "json" else "a list" if column.type.endswith("[]") else "an object"
        if not column.parts and column.form != "json":
            continue
        if column.name in table.key:
            declared.error(f"key column {column.name} is {what}", "primaryKey", fix)
        if column.name in table.sequence_by:
            part.error(f"sequenceBy {column.name} is {what}", "customProperties[sequenceBy]", fix)
        if column.name in table.z_order_by:
            part.error(f"zOrderBy {column.name} is {what}", "customProperties[zOrderBy]", fix)
        if column.drift:
            declared.error(f"drift of {column.name}, which is {what}", "customProperties[drift]", fix)


def _sql_in(sequence: Sequence[str]) -> set[str]:
    """Return the members of a sequence that are SQL and not a name."""
    return {item for item in sequence if not re.fullmatch(r"\w+", item)}


def _check_history(table: Table, kinds: Mapping[str, str], part: Part) -> None:
    """Add an error where history scd2 lacks a key, or one sequence column that is a date or moment."""
    if not table.key:
        fix = "mark the key `primaryKey: true`: a history is kept per key"
        part.error("history scd2 without a key", "customProperties[history]", fix)
    fix = f"write `sequenceBy` with one column of type {' or '.join(MOMENTS)}: it says from when on a row holds"
    found = [f"{name} ({kinds[name]})" for name in table.sequence_by if name in kinds]
    if not table.sequence_by:
        part.error("history scd2 without sequenceBy", "customProperties[history]", fix)
    elif len(found) > 1 or _sql_in(table.sequence_by) or (found and kinds[table.sequence_by[0]] not in MOMENTS):
        part.error(f"history scd2 with sequenceBy {listed(found)}", "customProperties[sequenceBy]", fix)


def _business_date(table: Table, named: str | None, part: Part) -> str | None:
    """Return the column that the business dates a row by: the one named, else the latency's, else the partition's."""
    kinds = {column.name: column.type for column in table.columns}
    moments = [name for name, kind in kinds.items() if kind in MOMENTS]
    if named is not None:
        at = "customProperties[businessDate]"
        if named not in kinds:
            part.error(f"no column {named}", at, hint(named, moments))
        elif named not in moments:
            part.error(f"businessDate {named} is {kinds[named]}", at, f"name a column of type {' or '.join(MOMENTS)}")
        return named
    measured = [sla.column for sla in table.slas if sla.property == "latency" and sla.column in moments]
    days = [name for name in table.partition_by if kinds[name] == "DATE"]
    return measured[0] if measured else days[0] if len(days) == 1 else None


def _check_drift(table: Table, part: Part) -> None:
    """Add an error for each `drift` of a date column, or in a table without a business date."""
    for column, declared in zip(table.columns, part.parts("properties"), strict=True):
        at = "customProperties[drift]"
        if column.drift and column.type in MOMENTS:
            declared.error(f"drift of {column.name}, a {column.type}", at, "remove it: dates always move on")
        elif column.drift and not table.business_date:
            declared.error(f"drift of {column.name} without a business date", at, "name one: `businessDate`")
