"""The contract is the program: ODCS YAML becomes the Feeds, Tables and Marts that the layers run.

Discovery is by folder: `src/silver/<domain>/<table>.yaml` is a silver table,
`src/gold/<mart>/contract.yaml` a mart. A file that is not what it should be stops the run.

A contract is read in three steps, each of which adds its faults to one list: YAML without duplicate
keys; the standard's own JSON schema, closed where it lets unknown keys through; what Boathouse needs.
The standard's pydantic model is left to `Mart.odcs`: importing it costs more than all the rest together.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import BoathouseError, ContractError, Faults, from_os_error

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard

TIMESTAMP = "TIMESTAMP WITH TIME ZONE"  # as DuckDB's DESCRIBE names it; times are kept in UTC


# -- what a contract declares


@dataclass(frozen=True)
class Feed:
    """One stream of files: where they land and how they are read. Bronze has one table per feed."""

    domain: str
    name: str
    path: str  # glob below the landing zone, for example sales/order_lines/*.csv
    format: str  # csv | ndjson | json | parquet | xlsx
    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    columns: tuple[str, ...] = ()  # names where the file has no header
    sheet: str | None = None  # Excel: the sheet's name; default the first
    declared_in: Path | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        return f"bronze.{self.domain}.{self.name}"


@dataclass(frozen=True)
class Rule:
    """A row rule: kind is an ODCS option name (minimum, maximum, pattern, enum, ...)."""

    kind: str
    value: object  # enum: a tuple; a bound of a date or timestamp: ISO text, UTC where it names no zone


@dataclass(frozen=True)
class Column:
    name: str
    type: str  # canonical DuckDB type: VARCHAR, BIGINT, DECIMAL(18,3), DATE, TIMESTAMP WITH TIME ZONE, ...
    expression: str | None = None  # transformLogic; None means the source column of the same name
    required: bool = False
    unique: bool = False
    rules: tuple[Rule, ...] = ()
    description: str = ""
    classification: str | None = None


@dataclass(frozen=True)
class Expectation:
    """One audit of `quality[]`: a number a metric or a query gives, and what it must be."""

    kind: str  # library | sql
    operator: str  # mustBe, mustBeGreaterThan, ...
    bound: object  # a number; sql: also a boolean; ...Between: (low, high)
    column: str | None = None  # None: the whole table
    metric: str | None = None  # library: nullValues, missingValues, invalidValues, duplicateValues, rowCount
    query: str | None = None  # sql: `${object}` stands for the table, and nothing else for anything
    unit: str = "rows"  # rows | percent
    severity: str = "error"  # error | warning
    dimension: str | None = None
    arguments: tuple[tuple[str, object], ...] = ()
    id: str | None = None
    description: str = ""


@dataclass(frozen=True)
class Relationship:
    """A foreign key: these columns hold values that those columns of another table have."""

    columns: tuple[str, ...]
    to_table: str  # id
    to_columns: tuple[str, ...]


@dataclass(frozen=True)
class Sla:
    """A promise about a table or, where `column` is set, measured by that column."""

    property: str  # latency | frequency | retention | anything else, which is documentation
    value: object
    unit: str | None = None  # latency, frequency, retention: min | h | d | w | mo | y
    element: str | None = None
    column: str | None = None
    driver: str | None = None
    description: str = ""

    def hours(self) -> float:
        """The span of a latency, frequency or retention (and of these only); a month is a twelfth of 365 days."""
        return float(str(self.value)) * _HOURS[self.unit or ""]


@dataclass(frozen=True)
class Table:
    """One silver table or one table of a gold mart, as its contract declares it."""

    layer: str  # silver | gold
    domain: str  # the domain, or the mart
    name: str
    version: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()  # empty: all columns together are the key
    partition_by: tuple[str, ...] = ()
    sequence_by: tuple[str, ...] = ()
    feeds: tuple[Feed, ...] = ()  # silver only
    sources: tuple[str, ...] = ()  # gold only: ids of the tables a Python model reads; of SQL the caller knows
    sql: str | None = None  # text of the sibling <table>.sql
    python: Path | None = None  # gold only: the sibling <table>.py
    refresh: str = "incremental"  # incremental | full
    lookback: int = 0  # how many earlier partitions a partition's rows depend on
    description: str = ""
    path: Path = Path()
    delete_when: str | None = None  # silver only: SQL condition over the typed columns
    history: str = "scd1"  # silver only: scd1 | scd2
    quality: tuple[Expectation, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    slas: tuple[Sla, ...] = ()
    owner: str = ""

    @property
    def id(self) -> str:
        return f"{self.layer}.{self.domain}.{self.name}"

    @property
    def model(self) -> Path:
        """The file beside the contract that computes the table: <table>.py, else <table>.sql."""
        return self.python or self.path.parent / f"{self.name}.sql"


@dataclass(frozen=True)
class Mart:
    """A gold folder: tables that share one contract, one version and one owner."""

    name: str
    version: str
    title: str
    owner: str
    purpose: str
    usage: str
    limitations: str
    support: tuple[str, ...]  # channels, with their address where there is one
    refresh: str  # daily, every 6 hours, ...
    tables: tuple[Table, ...]
    path: Path
    document: Mapping[str, Any] = field(compare=False, repr=False)

    @cached_property
    def odcs(self) -> OpenDataContractStandard:
        """The contract as the standard's own model, for whoever renders it."""
        from open_data_contract_standard.model import OpenDataContractStandard

        return OpenDataContractStandard(**self.document)


@dataclass(frozen=True)
class Contracts:
    feeds: dict[str, Feed]  # by id
    silver: dict[str, Table]  # by id
    gold: dict[str, Table]  # by id, in the order of the contracts
    marts: dict[str, Mart]  # by name


# -- loading


def load(root: Path) -> Contracts:
    """Every contract below root/silver and root/gold.

    Raises:
        Faults: everything that is wrong with any of them.
    """
    faults: list[BoathouseError] = []
    files = [*_silver_files(root, faults), *_gold_files(root, faults)]
    validator = _validator()
    silver: list[tuple[_File, Table]] = []
    marts: list[tuple[_File, Mart]] = []
    for file in files:
        file.document = _read(file, validator)
        if file.document is not None and file.layer == "silver":
            silver += [(file, table) for table in _silver_tables(file.document, file)]
        elif file.document is not None:
            marts.append((file, _mart(file.document, file)))
    contracts = Contracts(
        feeds=_feeds(silver),
        silver={table.id: table for _, table in silver},
        gold={table.id: table for _, mart in marts for table in mart.tables},
        marts={mart.name: mart for _, mart in marts},
    )
    _check_ids(files)
    _check_references(files, {**contracts.silver, **contracts.gold})
    if faults:
        raise Faults(faults)
    return contracts


@dataclass
class _File:
    """One contract file, the faults found in it, and what it says about tables declared elsewhere."""

    path: Path
    layer: str
    domain: str
    shown: str  # the path as a person knows it
    faults: list[BoathouseError]  # one list for all files
    document: dict[str, Any] | None = None
    references: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)  # key path, table id, columns
    broken: set[str] = field(default_factory=set)  # key paths that break the standard: one fault each is enough

    def fault(self, what: str, key: str = "", fix: str | None = None) -> None:
        if key and key in self.broken:
            return
        self.faults.append(ContractError(what, where=f"{self.shown}, {key}" if key else self.shown, fix=fix))

    def text(self, path: Path) -> str:
        """A file's text; empty, with a fault, where it has none."""
        try:
            text = path.read_text(encoding="utf-8-sig").strip()
        except UnicodeDecodeError as error:
            self.fault(f"{path.name} is not utf-8 at byte {error.start}", fix="save it as utf-8")
            return ""
        except OSError as error:
            self.faults.append(from_os_error(error, path))
            return ""
        if not text:
            self.fault(f"{path.name} is empty", fix="write it, or remove the file")
        return text


# -- discovery: the folder is the registry

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NAME_FIX = "write snake case: a small letter, then small letters, digits and _"
_RESERVED = ("bronze", "gold", "ops", "quarantine", "silver")
_IGNORED = ("__pycache__", "__init__.py", "README.md")


def _silver_files(root: Path, faults: list[BoathouseError]) -> Iterator[_File]:
    for folder in _folders(root / "silver", root, faults):
        tables = {path.stem for path in folder.glob("*.yaml")}
        for path in _entries(folder):
            file = _File(path, "silver", folder.name, _shown_path(path, root), faults)
            if path.is_dir() or path.suffix in (".yml", ".py") or (path.suffix == ".sql" and path.stem not in tables):
                file.fault(
                    f"{path.name} belongs to no table; the folder has {_list(sorted(tables)) or 'no contract'}",
                    fix="a table is <table>.yaml, with <table>.sql beside it where needed; rename or remove it",
                )
            elif path.suffix == ".yaml":
                if not _NAME.fullmatch(path.stem):
                    file.fault(f"table name {path.stem}", fix=_NAME_FIX)
                yield file


def _gold_files(root: Path, faults: list[BoathouseError]) -> Iterator[_File]:
    for folder in _folders(root / "gold", root, faults):
        path = folder / "contract.yaml"
        file = _File(path, "gold", folder.name, _shown_path(path, root), faults)
        if path.is_file():
            yield file
        else:
            file.fault(f"mart {folder.name} has no contract.yaml", fix="write it, or remove the folder")


def _folders(layer: Path, root: Path, faults: list[BoathouseError]) -> Iterator[Path]:
    """The domains or marts of a layer. Its own Python files are code, but a contract there is lost."""
    if not layer.is_dir():
        faults.append(ContractError(f"no folder {layer.name}", where=root, fix=f"create {_shown_path(layer, root)}"))
        return
    for path in _entries(layer):
        shown = _shown_path(path, root)
        if path.is_dir():
            if not _NAME.fullmatch(path.name) or path.name in _RESERVED:
                fix = f"{_NAME_FIX}; reserved: {_list(_RESERVED)}"
                faults.append(ContractError(f"folder name {path.name}", where=shown, fix=fix))
            yield path
        elif path.suffix in (".yaml", ".yml", ".sql"):
            fix = f"move it to {_shown_path(layer, root)}/<{'domain' if layer.name == 'silver' else 'mart'}>/"
            faults.append(ContractError(f"{path.name} is outside of every folder", where=shown, fix=fix))


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.name not in _IGNORED)


def _shown_path(path: Path, root: Path) -> str:
    return str(path.relative_to(root.parent))


# -- step 1: YAML


def _read(file: _File, validator: Any) -> dict[str, Any] | None:
    """A contract's content as far as it is sound; None where nothing more can be said about it."""
    text = file.text(file.path)
    document = _parse(text, file) if text else None
    return None if document is None else _conforming(document, file, validator)


def _parse(text: str, file: _File) -> dict[str, Any] | None:
    import yaml

    loader = _loader_class()(text)
    try:
        document = loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        file.fault(f"not YAML: {problem}", f"line {mark.line + 1}" if mark else "", "correct the syntax")
        return None
    finally:
        loader.dispose()
    for line, what, fix in loader.faults:
        file.fault(what, f"line {line}", fix)
    if not isinstance(document, dict):
        file.fault(f"the file holds {_kind(document)}", fix="write a contract: `apiVersion: ...` and so on")
        return None
    return None if loader.faults else document


def _loader_class() -> Any:
    """A safe YAML loader that reports duplicate keys, where PyYAML keeps the last, and leaves dates as text."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self.faults: list[tuple[int, str, str]] = []

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.tag != "tag:yaml.org,2002:str":
                    self.faults.append((line, f"key {key.value} is not text", "write a name, in quotes if need be"))
                elif key.value in seen:
                    self.faults.append((line, f"duplicate key {key.value}", "keep one of them"))
                seen.add(str(key.value))
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return Loader


# -- step 2: the standard

_STANDARD = "see https://bitol-io.github.io/open-data-contract-standard"
_OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
_JSON_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys and values",
}


def _validator() -> Any:
    """The standard's JSON schema, closed where it lets unknown keys through, and for local servers only."""
    from importlib.resources import files

    from jsonschema.validators import validator_for

    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))
    top, parts = schema["properties"], schema["$defs"]
    top["apiVersion"]["enum"] = [version for version in top["apiVersion"]["enum"] if version.startswith("v3.")]
    top["description"]["additionalProperties"] = False
    parts["SchemaProperty"]["required"] = ["name", "logicalType"]
    for part in parts["SchemaBaseProperty"]["allOf"]:
        part.get("if", {})["required"] = ["logicalType"]  # or every condition on it holds where it is missing
    typed = {"properties": {"type": {"enum": ["text", "sql", "custom"]}}, "required": ["type"]}
    parts["DataQuality"]["allOf"][0]["if"] = {"not": typed}  # library is the default, also where no metric says so
    server, local = parts["Server"], parts["ServerSource"]["LocalServer"]
    local["properties"]["delimiter"] = {"type": "string"}  # in the standard's model and text, not in its schema
    server["properties"] |= local["properties"]
    server["properties"]["type"]["enum"] = ["local"]
    server["required"] = [*server["required"], *local["required"]]
    server["additionalProperties"] = False
    del server["allOf"]
    return validator_for(schema)(schema)


def _conforming(document: dict[str, Any], file: _File, validator: Any) -> dict[str, Any] | None:
    """The document without what breaks the standard, so that the rest can be checked in the same pass."""
    errors = [leaf for error in validator.iter_errors(document) for leaf in _leaves(error)]
    if not errors:
        return document
    reported = dict.fromkeys(fault for error in errors for fault in _translated(error, validator))
    for path, what, fix in reported or {((), errors[0].message, _STANDARD): None}:
        file.fault(what, _dotted(path), fix)
    for path, _, _ in sorted(reported, key=lambda fault: len(fault[0]), reverse=True):
        _remove(document, path)
        file.broken.add(_dotted(path))
    return document if validator.is_valid(document) else None


def _leaves(error: Any) -> Iterator[Any]:
    """The errors of the one alternative that was meant; the error itself where that is not clear."""
    branches: dict[Any, list[Any]] = {}
    for cause in error.context or ():
        branches.setdefault(cause.relative_schema_path[0], []).append(cause)
    meant = [causes for causes in branches.values() if not any(_rules_out(cause) for cause in causes)]
    if error.validator not in ("oneOf", "anyOf") or len(meant) != 1:
        yield error
        return
    for cause in meant[0]:
        yield from _leaves(cause)


def _rules_out(cause: Any) -> bool:
    return cause.validator in ("type", "required") and not cause.relative_path


def _translated(error: Any, validator: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """One error of the JSON schema as (path, what, fix)s in our words; none where it only follows from another."""
    path, found, rule = tuple(error.absolute_path), error.instance, error.validator_value
    name = _dotted(path).rpartition(".")[2] or "the contract"
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = _known_keys(error.schema, found, validator)
        for key in found:
            if key not in known:
                yield (*path, key), f"unknown key {key}", _hint(key, known)
    elif error.validator == "required":
        for key in rule:
            if key not in found:
                yield path, f"missing key {key}", f"write `{key}: ...`"
    elif error.validator == "type":
        fix = f"write {_JSON_KINDS.get(rule, rule)}" + (", in quotes" if rule == "string" and _is_number(found) else "")
        yield path, f"{name} is {_shown(found)}", fix
    elif error.validator == "enum":
        if isinstance(found, str):  # else its type is the fault
            yield path, f"{name} {_shown(found)}", _hint(found, rule)
    elif error.validator == "oneOf" and "mustBe" in rule[0].get("required", ()):
        if isinstance(found, dict):  # else its type is the fault
            operators = _list(key for key in found if key in _OPERATORS)
            yield path, f"operators: {operators or 'none'}", f"write exactly one of {_list(_OPERATORS)}"
    else:
        yield path, f"{name} {_shown(found)}", error.schema.get("description") or f"{error.message[:200]}; {_STANDARD}"


def _known_keys(schema: Mapping[str, Any], found: Any, validator: Any) -> set[str]:
    """The keys a part of the schema gives a meaning to, in an object such as the one found."""
    keys = set(schema.get("properties", ()))
    inner = [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if "$ref" in schema:
        target = validator.schema
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        inner.append(target)
    if "if" in schema and validator.evolve(schema=schema["if"]).is_valid(found):
        inner.append(schema["then"])
    return keys.union(*(_known_keys(part, found, validator) for part in inner))


def _remove(document: Any, path: tuple[str | int, ...]) -> None:
    """Take a value out, unless it is in a list, where that would move its neighbours."""
    for step in path[:-1]:
        document = document[step]
    if path and isinstance(document, dict):
        document.pop(path[-1], None)


# -- step 3: what Boathouse needs

_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def _silver_tables(document: dict[str, Any], file: _File) -> list[Table]:
    _check_header(document, file)
    if document.get("domain", file.domain) != file.domain:
        file.fault(f"domain {document['domain']}; the folder is {file.domain}", "domain", "write the folder's name")
    feeds = _declared_feeds(document, file)
    objects = document.get("schema", [])
    if len(objects) != 1:
        fix = "a silver contract declares exactly one table"
        file.fault(f"{len(objects)} tables in schema", "schema", fix)
    if objects and objects[0]["name"] != file.path.stem:
        file.fault(f"table {objects[0]['name']}; the file is {file.path.name}", "schema[0].name", "let them be equal")
    tables = _tables(document, file, feeds=feeds)
    return [table for table in tables if table.name == file.path.stem]


def _mart(document: dict[str, Any], file: _File) -> Mart:
    _check_header(document, file)
    if "servers" in document:
        file.fault("a mart has no servers", "servers", "remove them: its models read tables")
    tables = _tables(document, file)
    if not tables:
        file.fault("0 tables in schema", "schema", "a mart declares at least one table")
    _check_models(tables, file)
    description = document.get("description", {})
    mart = Mart(
        name=file.domain,
        version=document["version"],
        title=document.get("name", file.domain),
        owner=_owner(document),
        purpose=_words(description, "purpose"),
        usage=_words(description, "usage"),
        limitations=_words(description, "limitations"),
        support=tuple(
            f"{item['channel']} ({item['url']})" if "url" in item else item["channel"]
            for item in document.get("support", ())
        ),
        refresh=_refresh_rate(tables),
        tables=tuple(tables),
        path=file.path,
        document=document,
    )
    _check_governance(mart, file)
    return mart


def _check_header(document: Mapping[str, Any], file: _File) -> None:
    if not _SEMVER.fullmatch(document["version"]):
        file.fault(f"version {document['version']}", "version", "write MAJOR.MINOR.PATCH, for example 1.0.0")
    if not document.get("status", "").strip():
        file.fault("no status", "status", "write `status: active`, or proposed, draft, deprecated, retired")


def _check_governance(mart: Mart, file: _File) -> None:
    """Every mart states its business definition, owner and refresh rate."""
    if not mart.purpose:
        file.fault("no business definition", "description.purpose", "write what the mart is for, in business words")
    if not mart.owner:
        file.fault("no owner", "team", "name a member with `role: owner`")
    if not mart.refresh:
        fix = "write `{property: frequency, value: 1, unit: d}`"
        file.fault("no refresh rate", "slaProperties", fix)


def _check_models(tables: Sequence[Table], file: _File) -> None:
    """Each table of a mart has exactly one model beside it, and each model a table."""
    names = [table.name for table in tables]
    for index, table in enumerate(tables):
        models = [f"{table.name}{suffix}" for suffix in (".sql", ".py") if _model(file, table.name, suffix)]
        if len(models) != 1:
            fix = f"keep exactly one of {table.name}.sql, {table.name}.py beside the contract"
            file.fault(f"table {table.name} has {_list(models) or 'no model'}", f"schema[{index}]", fix)
        if table.python and not table.sources:
            key = f"schema[{index}].properties"
            fix = "declare what the model reads in `transformSourceObjects: [silver.<domain>.<table>]`"
            file.fault(f"no sources of {table.python.name}", key, fix)
    known = {"contract.yaml", *(name + suffix for name in names for suffix in (".sql", ".py"))}
    for path in _entries(file.path.parent):
        if path.is_dir() or (path.suffix in (".yaml", ".yml", ".sql", ".py") and path.name not in known):
            file.fault(f"{path.name} belongs to no table; the contract has {_list(names)}", fix="rename or remove it")


def _model(file: _File, table: str, suffix: str) -> Path | None:
    path = file.path.with_name(table + suffix)
    return path if path.is_file() else None


def _owner(document: Mapping[str, Any]) -> str:
    """The member whose role is owner, else the first member, else the team's name."""
    team = document.get("team", {})
    team = {"members": team} if isinstance(team, list) else team
    members = team.get("members", [])
    chosen = [member for member in members if member.get("role", "").lower() == "owner"] or members
    return str(chosen[0].get("name") or chosen[0]["username"] if chosen else team.get("name", "")).strip()


# -- tables


def _tables(document: Mapping[str, Any], file: _File, feeds: tuple[Feed, ...] = ()) -> list[Table]:
    objects = document.get("schema", [])
    names = [declared["name"] for declared in objects]
    for index, name in enumerate(names):
        if not _NAME.fullmatch(name):
            file.fault(f"table name {name}", f"schema[{index}].name", _NAME_FIX)
        if name in names[:index]:
            file.fault(f"duplicate table {name}", f"schema[{index}].name", "keep one of them")
    defaults = _custom(document, _TABLE_PROPERTIES[file.layer], file, "")
    slas = _slas(document, file)
    return [_table(document, index, file, feeds, defaults, slas[index]) for index in range(len(objects))]


def _table(
    document: Mapping[str, Any],
    index: int,
    file: _File,
    feeds: tuple[Feed, ...],
    defaults: Mapping[str, Any],
    slas: tuple[Sla, ...],
) -> Table:
    declared, key = document["schema"][index], f"schema[{index}]"
    name = declared["name"]
    custom = {**defaults, **_custom(declared, _TABLE_PROPERTIES[file.layer], file, key)}
    sequence = custom.get("sequenceBy", [])
    sql, python = _model(file, name, ".sql"), _model(file, name, ".py")
    properties = declared.get("properties", [])
    _check_same_name(declared, file, key)
    table = Table(
        layer=file.layer,
        domain=file.domain,
        name=name,
        version=document["version"],
        columns=_columns(properties, file, key),
        key=_positioned(properties, "primaryKey", "primaryKeyPosition", file, key),
        partition_by=_positioned(properties, "partitioned", "partitionKeyPosition", file, key),
        sequence_by=(sequence,) if isinstance(sequence, str) else tuple(sequence),
        feeds=feeds,
        sources=_sources(properties, file, key) if python else (),
        sql=file.text(sql) if sql else None,
        python=python,
        refresh=custom.get("refresh", "incremental"),
        lookback=custom.get("lookback", 0),
        description=_words(declared, "description"),
        path=file.path,
        delete_when=custom.get("deleteWhen"),
        history=custom.get("history", "scd1"),
        quality=_quality(declared, file, key),
        relationships=_relationships(declared, file, key),
        slas=slas,
        owner=_owner(document),
    )
    _check_table(table, file, key)
    return table


def _check_table(table: Table, file: _File, key: str) -> None:
    columns = {column.name: column for column in table.columns}
    positions = {column.name: index for index, column in enumerate(table.columns)}
    if not columns:
        file.fault(f"table {table.name} has no columns", f"{key}.properties", "write `properties:`, one per column")
    for name in table.sequence_by:
        if name not in columns:
            file.fault(f"no column {name}", f"{key}.customProperties[sequenceBy]", _hint(name, columns))
    for name in table.partition_by:
        at = f"{key}.properties[{positions[name]}]"
        if columns[name].type not in _PARTITION_TYPES:
            fix = f"partition by one of {_list(_PARTITION_TYPES)}"
            file.fault(f"partition column {name} is {columns[name].type}", f"{at}.partitioned", fix)
        if not columns[name].required:
            file.fault(f"partition column {name} may be absent", f"{at}.required", "write `required: true`")
    if table.lookback and not table.partition_by:
        fix = "mark a column `partitioned: true`, or remove lookback"
        file.fault(f"lookback {table.lookback} without partitions", f"{key}.customProperties[lookback]", fix)
    if table.history == "scd2" and not table.key:
        fix = "mark the key `primaryKey: true`: a history is kept per key"
        file.fault("history scd2 without a key", f"{key}.customProperties[history]", fix)


def _check_same_name(declared: Mapping[str, Any], file: _File, key: str) -> None:
    if declared.get("physicalName", declared["name"]) != declared["name"]:
        what = f"physicalName {declared['physicalName']}; the name is {declared['name']}"
        file.fault(what, f"{key}.physicalName", "remove it: one thing has one name")


def _positioned(
    properties: Sequence[Mapping[str, Any]], flag: str, position: str, file: _File, key: str
) -> tuple[str, ...]:
    """The names of the flagged properties in the order of their positions, which a single one can do without."""
    chosen = [declared for declared in properties if declared.get(flag, False)]
    places = [declared.get(position, -1) for declared in chosen]
    for index, declared in enumerate(properties):
        place, at = declared.get(position, -1), f"{key}.properties[{index}].{position}"
        if declared not in chosen:
            if place != -1:
                file.fault(f"{position} {place} without {flag}", at, f"write `{flag}: true`, or remove it")
        elif len(chosen) > 1 and (place < 1 or places.count(place) > 1):
            found = "no position" if place == -1 else f"position {place}"
            file.fault(f"column {declared['name']} has {found}", at, f"number the {len(chosen)} columns 1, 2, ...")
    return tuple(declared["name"] for declared in sorted(chosen, key=lambda declared: declared.get(position, -1)))


def _sources(properties: Sequence[Mapping[str, Any]], file: _File, key: str) -> tuple[str, ...]:
    """The ids of the tables a Python model reads: the union of its columns' transformSourceObjects."""
    sources: dict[str, None] = {}
    for index, declared in enumerate(properties):
        for source in declared.get("transformSourceObjects", ()):
            if source not in sources:
                file.references.append((f"{key}.properties[{index}].transformSourceObjects", source, ()))
            sources[source] = None
    return tuple(sources)


# -- columns and their types

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_PARTITION_TYPES = ("VARCHAR", *_INTEGERS, "BOOLEAN", "DATE")
_FAMILIES = {
    "string": ("VARCHAR",),
    "integer": _INTEGERS,
    "number": ("FLOAT", "DOUBLE", "DECIMAL"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "timestamp": (TIMESTAMP,),
}
_DEFAULT_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": TIMESTAMP,
}
_ALIASES = {
    "VARCHAR": ("varchar", "character varying", "char", "bpchar", "text", "string"),
    "BOOLEAN": ("boolean", "bool", "logical"),
    "TINYINT": ("tinyint", "int1", "byte"),
    "SMALLINT": ("smallint", "int2", "short"),
    "INTEGER": ("integer", "int", "int4", "signed"),
    "BIGINT": ("bigint", "int8", "long"),
    "FLOAT": ("float", "float4", "real"),
    "DOUBLE": ("double", "double precision", "float8"),
    "DECIMAL": ("decimal", "numeric"),
    "DATE": ("date",),
    TIMESTAMP: ("timestamp", "timestamptz", "timestamp_tz", "timestamp with time zone", "datetime"),
}
_TYPES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
_SUPPORTED = ", ".join(name.replace("DECIMAL", "DECIMAL(p,s)") for name in _ALIASES)
_SPELLED_TYPE = re.compile(r"([a-z][a-z0-9_]*(?: [a-z]+)*) ?(?:\( ?(\d+) ?(?:, ?(\d+) ?)?\))?")


def _columns(properties: Sequence[Mapping[str, Any]], file: _File, key: str) -> tuple[Column, ...]:
    names: list[str] = []
    columns: list[Column] = []
    for index, declared in enumerate(properties):
        name, at = declared["name"], f"{key}.properties[{index}]"
        if name.lower() in names:
            file.fault(f"duplicate column {name}", f"{at}.name", "keep one of them, or give it another name")
        elif not _NAME.fullmatch(name):
            file.fault(f"column name {name}", f"{at}.name", _NAME_FIX)
        names.append(name.lower())
        columns.append(_column(declared, file, at))
    return tuple(columns)


def _column(declared: Mapping[str, Any], file: _File, key: str) -> Column:
    kind = _type(declared, file, key)
    _check_same_name(declared, file, key)
    _custom(declared, {}, file, key)
    if declared.get("semanticType", "column") == "measure":
        file.fault("semanticType measure", f"{key}.semanticType", "a table has columns; leave it out")
    if not declared.get("transformLogic", "-").strip():
        file.fault("empty transformLogic", f"{key}.transformLogic", "write an SQL expression, or leave it out")
    return Column(
        name=declared["name"],
        type=kind or "VARCHAR",  # of no consequence: a fault stops the load
        expression=declared["transformLogic"].strip() if "transformLogic" in declared else None,
        required=declared.get("required", False) or declared.get("primaryKey", False),
        unique=declared.get("unique", False),
        rules=_rules(declared, file, key) if kind else (),
        description=_words(declared, "description"),
        classification=declared.get("classification"),
    )


def _type(declared: Mapping[str, Any], file: _File, key: str) -> str | None:
    """The canonical DuckDB type; None, with a fault, where there is none."""
    logical, physical = declared.get("logicalType"), declared.get("physicalType")
    if logical is None:
        return None  # reported with the standard's faults
    if logical not in _FAMILIES:
        file.fault(f"logicalType {logical}", f"{key}.logicalType", f"supported: {_list(_FAMILIES)}")
        return None
    if physical is None:
        return _DEFAULT_TYPES[logical]
    kind = _physical_type(physical)
    if kind is None:
        file.fault(f"physicalType {physical}", f"{key}.physicalType", f"supported: {_SUPPORTED}")
    elif kind.partition("(")[0] not in _FAMILIES[logical]:
        fix = f"{logical} goes with {_list(_FAMILIES[logical])}"
        file.fault(f"logicalType {logical} with physicalType {physical}", f"{key}.physicalType", fix)
    return kind


def _physical_type(text: str) -> str | None:
    spelled = _SPELLED_TYPE.fullmatch(" ".join(text.lower().split()))
    kind = _TYPES.get(spelled[1]) if spelled else None
    if spelled is None or kind is None:
        return None
    if kind != "DECIMAL":
        return kind if spelled[2] is None else None  # a length would be ignored: it is a rule, maxLength
    precision, scale = int(spelled[2] or 0), int(spelled[3] or 0)
    return f"DECIMAL({precision},{scale})" if 1 <= precision <= 38 and scale <= precision else None


# -- row rules

_FORMATS = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "ipv4": r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.|$)){4}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}
_PAIRS = [(low, high) for low in ("minimum", "exclusiveMinimum") for high in ("maximum", "exclusiveMaximum")]
_PAIRS += [("minLength", "maxLength")]
_BOUNDS = {kind for pair in _PAIRS for kind in pair} | {"multipleOf"}
_NOT_RE2 = re.compile(r"\(\?(?:<?[=!]|>|\(|P=)|[*+?}]\+")


def _rules(declared: Mapping[str, Any], file: _File, key: str) -> tuple[Rule, ...]:
    """The row rules of a property; the standard's schema has checked which options go with its type."""
    logical, at = declared["logicalType"], f"{key}.logicalTypeOptions"
    rules: list[Rule] = []
    for kind, value in declared.get("logicalTypeOptions", {}).items():
        if logical == "boolean":
            file.fault(f"unknown key {kind}", f"{at}.{kind}", "a boolean has no options")
        elif kind == "format":
            rules += _format_rules(logical, value, file, f"{at}.format")
        elif kind == "defaultTimezone" and value not in ("UTC", "Etc/UTC"):
            file.fault(f"defaultTimezone {value}", f"{at}.{kind}", "write UTC: convert in transformLogic")
        elif kind == "pattern":
            _check_pattern(value, file, f"{at}.{kind}")
            rules.append(Rule(kind, value))
        elif kind not in ("timezone", "defaultTimezone"):
            rules.append(Rule(kind, value))
    _check_bounds(rules, logical, file, at)
    if "enum" in declared:
        rules.append(_enum_rule(declared["enum"], logical, file, f"{key}.enum"))
    return tuple(rules)


def _format_rules(logical: str, value: str, file: _File, key: str) -> list[Rule]:
    if value in _FORMATS and logical == "string":
        return [Rule("pattern", _FORMATS[value])]
    fixes = {
        "string": f"supported: {_list(_FORMATS)}; or write a pattern",
        "date": "write `transformLogic: strptime(<source column>, '%Y-%m-%d')`, with your format",
        "timestamp": "write `transformLogic: strptime(<source column>, '%Y-%m-%d %H:%M:%S')`, with your format",
    }
    file.fault(f"format {value}", key, fixes.get(logical, "say it with physicalType"))
    return []


def _check_pattern(pattern: str, file: _File, key: str) -> None:
    """RE2, which checks the rows, is like Python's re without look-around, back-references and possessives."""
    fix = "write a regular expression as RE2 knows it: no look-around, no back-references"
    try:
        re.compile(pattern)
    except re.error as error:
        file.fault(f"pattern {pattern}: {error}", key, fix)
        return
    escapes = re.findall(r"\\.", pattern)
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "x", re.sub(r"\\.", "x", pattern))
    beyond = [*_NOT_RE2.findall(plain), *(escape for escape in escapes if escape[1] in "123456789Z")]
    if beyond:
        file.fault(f"pattern {pattern}: {beyond[0]}", key, fix)


def _check_bounds(rules: Sequence[Rule], logical: str, file: _File, key: str) -> None:
    """Every bound is a value of the column's type, and some value lies between them."""
    bounds = {rule.kind: _comparable(rule.value, logical) for rule in rules if rule.kind in _BOUNDS}
    for kind, value in bounds.items():
        if value is None:
            file.fault(
                f"{kind} is not {_a(logical)}", f"{key}.{kind}", f"write {_a(logical)}{_EXAMPLES.get(logical, '')}"
            )
    for low, high in _PAIRS:
        lower, upper = bounds.get(low), bounds.get(high)
        if lower is None or upper is None:
            continue
        if lower > upper or (lower == upper and "exclusive" in low + high):
            file.fault(f"no value can pass {low} and {high}", f"{key}.{low}", "let the lower bound be the lower")


_EXAMPLES = {"date": ", for example 2011-12-31", "timestamp": ", for example 2011-12-31T23:59:59"}


def _comparable(value: Any, logical: str) -> Any:
    """A value in the type it is compared in; None where it is not of the logical type."""
    from datetime import UTC, date, datetime

    if logical in ("date", "timestamp"):
        try:
            if logical == "date":
                return date.fromisoformat(value)
            time = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return None
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return value if _is_number(value) else None


def _enum_rule(declared: Sequence[Mapping[str, Any]], logical: str, file: _File, key: str) -> Rule:
    for index, item in enumerate(declared):
        value = item["value"]
        fits = {
            "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": _is_number(value) and value == int(value),
        }
        if not (fits[logical] if logical in fits else _comparable(value, logical) is not None):
            fix = f"write {_a(logical)}" + (", in quotes" if logical == "string" else _EXAMPLES.get(logical, ""))
            file.fault(f"value {_shown(value)} of {_a(logical)} column", f"{key}[{index}].value", fix)
    return Rule("enum", tuple(item["value"] for item in declared))


# -- feeds

_FORMATS_OF_FILES = ("csv", "ndjson", "json", "parquet", "xlsx")
_ONLY_FOR = {
    "delimiter": ("csv",),
    "encoding": ("csv", "ndjson", "json"),
    "quote": ("csv",),
    "escape": ("csv",),
    "header": ("csv", "xlsx"),
    "columns": ("csv", "xlsx"),
    "sheet": ("xlsx",),
}


def _declared_feeds(document: Mapping[str, Any], file: _File) -> tuple[Feed, ...]:
    servers = document.get("servers", [])
    if not servers:
        fix = "write where the files land: `{server: <feed>, type: local, path: <domain>/<feed>/*.csv, format: csv}`"
        file.fault("no servers", "servers", fix)
    feeds: dict[str, Feed] = {}
    for index, server in enumerate(servers):
        feed = _feed(server, file, f"servers[{index}]")
        if feed.name in feeds:
            file.fault(f"duplicate feed {feed.name}", f"servers[{index}].server", "keep one of them")
        feeds[feed.name] = feed
    return tuple(feeds.values())


def _feed(server: Mapping[str, Any], file: _File, key: str) -> Feed:
    options = _custom(server, _FEED_PROPERTIES, file, key)
    options |= {name: server[name] for name in ("delimiter", "encoding") if name in server}
    for name in options:
        if server["format"] in _FORMATS_OF_FILES and server["format"] not in _ONLY_FOR[name]:
            at = f"{key}.{name}" if name in server else f"{key}.customProperties[{name}]"
            fix = f"{name} is for {_list(_ONLY_FOR[name])}; remove it"
            file.fault(f"{name} with format {server['format']}", at, fix)
    if "encoding" in options:
        options["encoding"] = _encoding(options["encoding"], file, f"{key}.encoding")
    options["columns"] = tuple(options.get("columns", ()))
    feed = Feed(
        domain=file.domain,
        name=server["server"],
        path=server["path"],
        format=server["format"],
        declared_in=file.path,
        **options,
    )
    _check_feed(feed, file, key)
    return feed


def _check_feed(feed: Feed, file: _File, key: str) -> None:
    if not _NAME.fullmatch(feed.name):
        file.fault(f"feed name {feed.name}", f"{key}.server", _NAME_FIX)
    if feed.format not in _FORMATS_OF_FILES:
        file.fault(f"format {feed.format}", f"{key}.format", f"supported: {_list(_FORMATS_OF_FILES)}")
    steps = feed.path.split("/")
    if not feed.path.strip() or "\\" in feed.path or feed.path.startswith(("/", "~")) or {"..", ""} & set(steps):
        fix = "write a glob below the landing zone, for example sales/orders/*.csv"
        file.fault(f"path {feed.path}", f"{key}.path", fix)
    if not 1 <= len(feed.delimiter) <= 4 or set(feed.delimiter) & {"\n", "\r", feed.quote}:
        file.fault(f"delimiter {feed.delimiter!r}", f"{key}.delimiter", 'write one character, for example ";" or "\\t"')
    if feed.header == bool(feed.columns):
        fix = "name the columns of files without a header: `header: false` and `columns: [...]`, or neither"
        file.fault(f"header {str(feed.header).lower()}, {len(feed.columns)} columns", f"{key}.customProperties", fix)


def _encoding(name: str, file: _File, key: str) -> str:
    import codecs

    try:
        "".encode(name)  # refuses codecs such as base64, which do not give text
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        file.fault(f"encoding {name}", key, "write one Python knows, for example utf-8, latin-1, cp1252, utf-16")
        return name


def _feeds(silver: Iterable[tuple[_File, Table]]) -> dict[str, Feed]:
    """Every feed once; two contracts that read the same feed must say the same about it."""
    feeds: dict[str, Feed] = {}
    for file, table in silver:
        for index, feed in enumerate(table.feeds):
            known = feeds.setdefault(feed.id, feed)
            if known != feed:
                options = [name for name in feed.__dataclass_fields__ if getattr(known, name) != getattr(feed, name)]
                differ = [name for name in options if name != "declared_in"]
                other = known.declared_in.name if known.declared_in else ""
                fix = f"write the same in {other} and {file.path.name}, or give the feed another name"
                file.fault(f"feed {feed.name} differs from {other} in {_list(differ)}", f"servers[{index}]", fix)
    return feeds


# -- custom properties: name -> what is expected, and whether a value is that


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_character(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1 and value not in ("\n", "\r")


def _is_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_scalars(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and not any(isinstance(item, dict | tuple) for item in value)


def _is_number(value: object) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))


_Known = Mapping[str, tuple[str, Callable[[Any], bool]]]
_FEED_PROPERTIES: _Known = {
    "quote": ('one character, or "" for none', _is_character),
    "escape": ('one character, or "" for none', _is_character),
    "header": ("true or false", lambda value: isinstance(value, bool)),
    "columns": ("a list of distinct names", _is_names),
    "sheet": ("the name of a sheet", _is_text),
}
_TABLE_PROPERTIES: Mapping[str, _Known] = {
    "silver": {
        "sequenceBy": ("a column name or a list of them", lambda value: _is_text(value) or _is_names(value)),
        "deleteWhen": ("an SQL condition over the table's columns", _is_text),
        "history": ("scd1 or scd2", lambda value: value in ("scd1", "scd2")),
    },
    "gold": {
        "refresh": ("incremental or full", lambda value: value in ("incremental", "full")),
        "lookback": (
            "a number of earlier partitions, 0 or more",
            lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        ),
    },
}


def _custom(declared: Mapping[str, Any], known: _Known, file: _File, key: str) -> dict[str, Any]:
    """The values of customProperties that are ours; another vendor's are let through."""
    values: dict[str, Any] = {}
    for item in declared.get("customProperties", ()):
        name, value = item["property"], item["value"]
        at = f"{key}.customProperties[{name}]".removeprefix(".")
        if item.get("vendor", "boathouse") != "boathouse":
            continue
        if name not in known:
            fix = _hint(name, known) + "; another tool's property says `vendor: ...`"
            file.fault(f"unknown property {name}", at, fix)
        elif name in values:
            file.fault(f"duplicate property {name}", at, "keep one of them")
        elif not known[name][1](value):
            file.fault(f"{name} {_shown(value)}", at, f"write {known[name][0]}")
        else:
            values[name] = value
    return values


# -- audits

_METRICS: Mapping[str, Mapping[str, tuple[str, ...] | None]] = {  # the arguments it takes; None: it is not for such
    "nullValues": {"column": (), "table": None},
    "missingValues": {"column": ("missingValues",), "table": None},
    "invalidValues": {"column": ("validValues", "pattern"), "table": None},
    "duplicateValues": {"column": (), "table": ("properties",)},
    "rowCount": {"column": None, "table": ()},
}
_PLACEHOLDER = re.compile(r"\$?\{([A-Za-z_]\w*)\}")


def _quality(declared: Mapping[str, Any], file: _File, key: str) -> tuple[Expectation, ...]:
    places: list[tuple[str | None, str, Mapping[str, Any]]] = [(None, key, declared)]
    for index, column in enumerate(declared.get("properties", ())):
        places.append((column["name"], f"{key}.properties[{index}]", column))
    names = [name for name, _, _ in places if name]
    expectations = [
        _expectation(item, column, names, file, f"{at}.quality[{index}]")
        for column, at, place in places
        for index, item in enumerate(place.get("quality", ()))
    ]
    return tuple(expectation for expectation in expectations if expectation)


def _expectation(
    item: Mapping[str, Any], column: str | None, names: Sequence[str], file: _File, key: str
) -> Expectation | None:
    """One audit; None for text, which is documentation, and, with a fault, where there is nothing to run."""
    kind = item.get("type", "library")
    if kind == "text":
        return None
    if kind == "custom":
        file.fault("type custom", f"{key}.type", "write `type: sql` with a query, or a metric")
        return None
    operator = next(name for name in _OPERATORS if name in item)
    expectation = Expectation(
        kind=kind,
        operator=operator,
        bound=_frozen(item[operator]),
        column=column,
        metric=item.get("metric") if kind == "library" else None,
        query=_query(item["query"], column, file, f"{key}.query") if kind == "sql" else None,
        unit=item.get("unit", "rows"),
        severity=item.get("severity", "error"),
        dimension=item.get("dimension"),
        arguments=tuple((name, _frozen(value)) for name, value in item.get("arguments", {}).items()),
        id=item.get("id"),
        description=_words(item, "description") or item.get("name", ""),
    )
    _check_expectation(expectation, file, key)
    if kind == "library":
        _check_metric(expectation, names, file, key)
    return expectation


def _check_expectation(expectation: Expectation, file: _File, key: str) -> None:
    bound, at = expectation.bound, f"{key}.{expectation.operator}"
    if expectation.severity not in ("error", "warning"):
        file.fault(f"severity {expectation.severity}", f"{key}.severity", "write error (stops the write) or warning")
    if expectation.unit not in ("rows", "percent"):
        file.fault(f"unit {expectation.unit}", f"{key}.unit", "write rows or percent")
    if "Between" in expectation.operator and isinstance(bound, tuple):
        if bound[0] >= bound[1]:
            file.fault(f"{expectation.operator} {list(bound)}", at, "write the smaller number first")
    elif not _is_number(bound) and not (isinstance(bound, bool) and expectation.kind == "sql"):
        file.fault(f"{expectation.operator} {_shown(bound)}", at, "write a number")


def _check_metric(expectation: Expectation, names: Sequence[str], file: _File, key: str) -> None:
    metric, place = expectation.metric or "", "column" if expectation.column else "table"
    known = _METRICS[metric][place]
    if known is None:
        file.fault(f"metric {metric} of a {place}", f"{key}.metric", "write it at the table, or at a column")
        return
    if known and not {name for name, _ in expectation.arguments} & set(known):
        file.fault(f"{metric} without arguments", f"{key}.arguments", f"write {' or '.join(known)}")
    if metric == "rowCount" and expectation.unit == "percent":
        file.fault("rowCount in percent", f"{key}.unit", "write rows")
    for name, value in expectation.arguments:
        at = f"{key}.arguments.{name}"
        if name not in known:
            file.fault(f"unknown argument {name}", at, f"{metric} takes {_list(known) or 'none'}")
        elif name == "pattern" and isinstance(value, str):
            _check_pattern(value, file, at)
        elif name == "pattern" or not _is_scalars(value):
            file.fault(f"{name} {_shown(value)}", at, f"write {'text' if name == 'pattern' else 'a list of values'}")
        elif name == "properties":
            _check_columns(value, names, file, at)


def _check_columns(columns: Any, names: Sequence[str], file: _File, key: str) -> None:
    for column in columns:
        if column not in names:
            file.fault(f"no column {column}", key, _hint(str(column), names))


def _query(text: str, column: str | None, file: _File, key: str) -> str:
    """The query with the column's name put in; `${object}` is left for the one who runs it."""
    names = {"object": "${object}", "table": "${object}"}
    if column:
        names |= {"property": f'"{column}"', "column": f'"{column}"'}
    for placeholder in _PLACEHOLDER.findall(text):
        if placeholder not in names:
            file.fault(f"unknown placeholder {placeholder}", key, "known: " + _list(f"${{{name}}}" for name in names))
    if not text.strip():
        file.fault("empty query", key, "write a SELECT of one value")
    return _PLACEHOLDER.sub(lambda found: names.get(found[1], found[0]), text).strip()


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


# -- foreign keys


def _relationships(declared: Mapping[str, Any], file: _File, key: str) -> tuple[Relationship, ...]:
    found: list[Relationship | None] = []
    for index, item in enumerate(declared.get("relationships", ())):
        at = f"{key}.relationships[{index}]"
        ends = _end(item["from"], file, f"{at}.from"), _end(item["to"], file, f"{at}.to")
        found.append(_relationship(*ends, declared["name"], file, at))
    for position, column in enumerate(declared.get("properties", ())):
        for index, item in enumerate(column.get("relationships", ())):
            at = f"{key}.properties[{position}].relationships[{index}]"
            start = (f"{file.layer}.{file.domain}.{declared['name']}", (column["name"],))
            found.append(_relationship(start, _end(item["to"], file, f"{at}.to"), declared["name"], file, at))
    return tuple(relationship for relationship in found if relationship)


def _relationship(
    start: tuple[str, tuple[str, ...]], end: tuple[str, tuple[str, ...]], table: str, file: _File, key: str
) -> Relationship | None:
    if not start[0] or not end[0]:
        return None
    if start[0] != f"{file.layer}.{file.domain}.{table}":
        file.fault(f"from names {start[0]}", f"{key}.from", f"write columns of {table}")
        return None
    if len(start[1]) != len(end[1]):
        what = f"{len(start[1])} columns refer to {len(end[1])}"
        file.fault(what, key, "let `from` and `to` have as many columns")
        return None
    file.references += [(f"{key}.from", *start), (f"{key}.to", *end)]
    return Relationship(start[1], end[0], end[1])


def _end(reference: str | list[str], file: _File, key: str) -> tuple[str, tuple[str, ...]]:
    """One end of a relationship as (table id, columns); the id is empty, with a fault, where it cannot be read."""
    ends: list[tuple[str, str]] = []
    for text in [reference] if isinstance(reference, str) else reference:
        steps = text.split(".")
        if len(steps) not in (2, 4) or "/" in text:
            file.fault(f"reference {text}", key, "write table.column, or silver.domain.table.column")
            return "", ()
        table = ".".join(steps[:-1]) if len(steps) == 4 else f"{file.layer}.{file.domain}.{steps[0]}"
        ends.append((table, steps[-1]))
    tables = list(dict.fromkeys(table for table, _ in ends))
    if len(tables) != 1:
        file.fault(f"columns of several tables: {_list(tables)}", key, "refer to the columns of one table")
        return "", ()
    return tables[0], tuple(column for _, column in ends)


def _check_references(files: Sequence[_File], tables: Mapping[str, Table]) -> None:
    """Every table and column that a contract refers to is declared; those of broken contracts are not known."""
    broken = {(file.layer, file.domain) for file in files if file.document is None}
    for file in files:
        for key, table, columns in file.references:
            if table in tables:
                _check_columns(columns, [column.name for column in tables[table].columns], file, key)
            elif tuple(table.split(".")[:2]) not in broken:
                file.fault(f"no table {table}", key, _hint(table, tables))


def _check_ids(files: Sequence[_File]) -> None:
    seen: dict[str, _File] = {}
    for file in files:
        if file.document is None:
            continue
        other = seen.setdefault(file.document["id"], file)
        if other is not file:
            file.fault(f"id {file.document['id']} is also in {other.shown}", "id", "give each contract its own id")


# -- service levels

_HOURS = {"min": 1 / 60, "h": 1, "d": 24, "w": 168, "mo": 730, "y": 8760}
_UNITS = {
    "min": ("minute", "minutes"),
    "h": ("hr", "hour", "hours"),
    "d": ("day", "days"),
    "w": ("week", "weeks"),
    "mo": ("month", "months"),
    "y": ("yr", "year", "years"),
}
_SPANS = {"latency": "latency", "ly": "latency", "frequency": "frequency", "fy": "frequency"} | {
    "retention": "retention",
    "re": "retention",
}
_RATES = {"min": "every minute", "h": "hourly", "d": "daily", "w": "weekly", "mo": "monthly", "y": "yearly"}


def _slas(document: Mapping[str, Any], file: _File) -> list[tuple[Sla, ...]]:
    """The service levels of each table: those that name it or its columns, and those that name nothing."""
    tables = document.get("schema", [])
    elements = {
        name: (index, column)
        for index, table in enumerate(tables)
        for column in (None, *(declared["name"] for declared in table.get("properties", ())))
        for name in [f"{table['name']}.{column}" if column else table["name"]]
    }
    found: list[list[Sla]] = [[] for _ in tables]
    for index, item in enumerate(document.get("slaProperties", ())):
        key = f"slaProperties[{index}]"
        name, value, unit = _span(item, file, key)
        for element in item["element"].split(",") if "element" in item else [None]:
            element = element.strip() if element else None
            if element and element not in elements:
                file.fault(f"element {element}", f"{key}.element", _hint(element, elements))
                continue
            table, column = elements[element] if element else (None, None)
            sla = Sla(name, value, unit, element, column, item.get("driver"), _words(item, "description"))
            for slas in found if table is None else [found[table]]:
                slas.append(sla)
    return [tuple(slas) for slas in found]


def _span(item: Mapping[str, Any], file: _File, key: str) -> tuple[str, object, str | None]:
    """A service level's name, value and unit; those of a span of time are checked and made canonical."""
    value, unit = item["value"], item.get("unit")
    name = _SPANS.get(item["property"].lower())
    if name is None:
        return item["property"], value, unit
    if not _is_number(value) or value <= 0:
        file.fault(f"{name} {_shown(value)}", f"{key}.value", "write a number greater than 0")
    known = [short for short, long in _UNITS.items() if str(unit).lower() in (short, *long)]
    if not known:
        file.fault(f"unit {_shown(unit)}", f"{key}.unit", f"known: {_list(_UNITS)}")
    return name, value, known[0] if known else None


def _refresh_rate(tables: Sequence[Table]) -> str:
    """How often a mart is renewed, in words; empty where nothing says so."""
    for sla in (sla for table in tables for sla in table.slas if sla.property == "frequency" and sla.unit):
        return _RATES[sla.unit or ""] if sla.value == 1 else f"every {sla.value} {_UNITS[sla.unit or ''][-1]}"
    return ""


# -- the semver rule: what determines the stored rows cannot change under one version

_FACTS = {  # fact -> the least bump when it changes
    "key": "major",
    "partition_by": "major",
    "history": "major",
    "sequence_by": "minor",
    "delete_when": "minor",
    "sql": "minor",
    "python": "minor",
    "feeds": "minor",
}
_LONG_FACTS = ("sql", "python")
_VERSION_TAG, _LOGIC_TAG = "lakehouse.schemaVersion", "lakehouse.logic"
_BUMPS = ("none", "patch", "minor", "major")
_READING = ("format", "delimiter", "encoding", "quote", "escape", "header", "columns", "sheet")


def logic(table: Table) -> dict[str, Any]:
    """Everything that determines a table's schema and stored rows, as JSON holds it."""
    facts = {
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "expression": column.expression,
                "required": column.required,
                "unique": column.unique,
                "rules": [[rule.kind, rule.value] for rule in column.rules],
            }
            for column in table.columns
        ],
        "key": table.key,
        "partition_by": table.partition_by,
        "sequence_by": table.sequence_by,
        "delete_when": table.delete_when,
        "history": table.history,
        "sql": table.sql.strip() if table.sql else None,
        "python": table.python.read_text(encoding="utf-8").strip() if table.python else None,
        "feeds": {feed.name: {name: getattr(feed, name) for name in _READING} for feed in table.feeds},
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def fingerprint(table: Table) -> int:
    """A number of 63 bits that is the same as long as `logic` is."""
    return _fingerprint(logic(table))


def _fingerprint(facts: Mapping[str, Any]) -> int:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def required_bump(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The least bump (none, patch, minor, major) from one logic to another, and the changes that ask for it."""
    changes = list(_column_changes(old["columns"], new["columns"]))
    for fact, bump in _FACTS.items():
        if fact not in old or fact not in new or old[fact] == new[fact]:
            continue  # a fact that an older Boathouse did not record is no change
        shown = "changed" if fact in _LONG_FACTS else f"{json.dumps(old[fact])} -> {json.dumps(new[fact])}"
        changes.append((bump, f"{fact} {shown}"))
    return max((bump for bump, _ in changes), key=_BUMPS.index, default="none"), [text for _, text in changes]


def _column_changes(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    before, after = ({column["name"]: column for column in columns} for columns in (old, new))
    for name in before:
        if name not in after:
            yield "major", f"column {name} removed"
    for name, column in after.items():
        if name not in before:
            yield "minor", f"column {name} added"
            continue
        for fact, value in column.items():
            if fact in before[name] and before[name][fact] != value:
                bump = "major" if fact == "type" else "minor"
                yield bump, f"column {name}: {fact} {json.dumps(before[name][fact])} -> {json.dumps(value)}"
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield "patch", "columns in another order"


def check_bump(table: Table, old_logic: Mapping[str, Any], old_version: str) -> None:
    """Refuse a table whose logic changed by more than its version did.

    Raises:
        ContractError: naming the changes and the version to write.
    """
    bump, changes = required_bump(old_logic, logic(table))
    now, before = _numbers(table.version), _numbers(old_version)
    major, minor, patch = before
    least = {
        "none": before,
        "patch": (major, minor, patch + 1),
        "minor": (major, minor + 1, 0),
        "major": (major + 1, 0, 0),
    }[bump]
    if now >= least:
        return
    where, version = f"{table.path}, version", ".".join(map(str, least))
    if now < before:
        what = f"{table.id}: version {table.version} is lower than {old_version}, which is stored"
        raise ContractError(what, where=where, fix=f"write `version: {version}`")
    what = f"{table.id}: a {bump} change under version {table.version}: {'; '.join(changes)}"
    raise ContractError(what, where=where, fix=f"write `version: {version}`, or take the change back")


def tags(table: Table) -> dict[str, str]:
    """The table properties that keep the version, and the logic it stands for, on the table itself."""
    return {
        "delta.userMetadata": json.dumps({"version": table.version}),
        _VERSION_TAG: table.version,
        _LOGIC_TAG: json.dumps(logic(table), sort_keys=True),
    }


@dataclass(frozen=True)
class Tagged:
    """What a stored table says of itself: the version, and the fingerprint of the logic it stands for."""

    version: str
    fingerprint: int


def tagged(properties: Mapping[str, str]) -> Tagged | None:
    """The tags found on a stored table; None where it has none."""
    if _LOGIC_TAG not in properties or _VERSION_TAG not in properties:
        return None
    return Tagged(properties[_VERSION_TAG], _fingerprint(json.loads(properties[_LOGIC_TAG])))


def why_rebuild(table: Table, properties: Mapping[str, str]) -> str:
    """Why a table whose rows were built by another logic is built anew, given its stored properties.

    Raises:
        ContractError: the version does not say that the logic changed.
    """
    if _LOGIC_TAG not in properties or _VERSION_TAG not in properties:
        return "the stored table does not say how it was built"
    old, version = json.loads(properties[_LOGIC_TAG]), properties[_VERSION_TAG]
    check_bump(table, old, version)
    _, changes = required_bump(old, logic(table))
    return f"contract {version} -> {table.version}: {'; '.join(changes) or 'the last rebuild did not finish'}"


def _numbers(version: str) -> tuple[int, int, int]:
    found = _SEMVER.fullmatch(version)
    if not found:
        raise ContractError(f"version {version}", fix="write MAJOR.MINOR.PATCH, for example 1.0.0")
    return int(found[1]), int(found[2]), int(found[3])


# -- words


def _words(declared: Mapping[str, Any], key: str) -> str:
    return str(declared.get(key) or "").strip()


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _list(words: Iterable[object]) -> str:
    return ", ".join(map(str, words))


def _hint(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = sorted(known)
    near = get_close_matches(word, known, 1)
    return (f"did you mean `{near[0]}`? " if near else "") + (f"known: {_list(known)}" if known else "known: none")


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    return "text" if isinstance(value, str) else "nothing" if value is None else str(value)


def _shown(value: object) -> str:
    """A value found in a contract, as it was written; long text is cut."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value if len(value) <= 60 else value[:60] + '...'}'"
    if value is None or isinstance(value, dict | list | tuple):
        return "empty" if not value and not isinstance(value, dict) else f"{_kind(value)}"
    return f"{value}"


def _dotted(path: Iterable[str | int]) -> str:
    """A key path as schema[0].properties[3].logicalType."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
