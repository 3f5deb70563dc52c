"""The folder is the registry, and a document is what the standard says, strictly.

`src/silver/<domain>/<table>.yaml` is a silver table, `src/gold/<mart>/contract.yaml` a mart; a file that is
neither is an error. A folder `src/silver/<domain>/seeds/` holds no contracts: see src/contract/seeds.py.
A document is YAML without duplicate keys that the standard's own JSON schema, closed where it lets unknown keys
through, finds nothing wrong with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from src.contract.custom import is_number
from src.contract.errors import ContractFile, hint, kind, listed, shown
from src.contract.model import OPERATORS
from src.errors import BoathouseError, ContractError

_MOST_VALUES = 200_000  # of one document: a contract of 10,000 columns has some 100,000
RESERVED = ("bronze", "gold", "ops", "quarantine", "silver")
_IGNORED = ("__pycache__", "__init__.py", "README.md")
TESTS = "tests"  # the folder inside a domain or mart with the tests of its models
SEEDS = "seeds"  # the folder inside a domain with its small tables


def discover(root: Path, errors: list[BoathouseError]) -> list[ContractFile]:
    """Return the contract files below root/silver and root/gold; add an error for what lies there and is none."""
    return [*_silver(root, errors), *_gold(root, errors)]


def read(file: ContractFile) -> None:
    """Fill a file's document as far as it is sound; it stays empty where nothing more can be said about it."""
    text = file.text(file.path)
    document = parse(text, file) if text else None
    if document is not None:
        file.document = conforming(document, file) or {}


def entries(folder: Path) -> list[Path]:
    """Return the paths in a folder, sorted, without hidden ones and those that Python or a reader leaves."""
    return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.name not in _IGNORED)


def declarations(folder: Path) -> list[Path]:
    """Return the paths in the folder of a domain or mart, without the tests of its models."""
    return [path for path in entries(folder) if path.name != TESTS or not path.is_dir()]


def empty_marts(root: Path) -> list[Path]:
    """Return the folders below root/gold that hold no file: marts that are begun, or were taken away."""
    layer = root / "gold"
    return [path for path in entries(layer) if path.is_dir() and is_empty(path)] if layer.is_dir() else []


def is_empty(folder: Path) -> bool:
    """Return whether a folder holds no file but those that are hidden or that Python leaves."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return all(any(part[0] == "." or part == "__pycache__" for part in path.parts) for path in files)


# -- the folder


def _silver(root: Path, errors: list[BoathouseError]) -> Iterator[ContractFile]:
    for folder in _folders(root / "silver", errors):
        tables = {path.stem for path in folder.glob("*.yaml")}
        for path in declarations(folder):
            if path.name == SEEDS and path.is_dir():
                continue
            file = ContractFile(path, "silver", folder.name, _shown(path, root), errors)
            if path.is_dir() or path.suffix in (".yml", ".py") or (path.suffix == ".sql" and path.stem not in tables):
                file.error(
                    f"{path.name} belongs to no table; the folder has {listed(sorted(tables)) or 'no contract'}",
                    fix="a table is <table>.yaml, with <table>.sql beside it where needed; rename or remove it",
                )
            elif path.suffix == ".yaml":
                file.check_name("table", path.stem)
                yield file


def _gold(root: Path, errors: list[BoathouseError]) -> Iterator[ContractFile]:
    for folder in _folders(root / "gold", errors):
        path = folder / "contract.yaml"
        file = ContractFile(path, "gold", folder.name, _shown(path, root), errors)
        if path.is_file():
            yield file
        elif is_empty(folder):
            continue  # `loading` notes it
        else:
            fix = f"write it, `make draft FILES={_shown(folder, root)}` does from SQL, or remove the folder"
            file.error(f"mart {folder.name} has no contract.yaml", fix=fix)


def _folders(layer: Path, errors: list[BoathouseError]) -> Iterator[Path]:
    """Yield the domains or marts of a layer. Its own Python files are code, but a contract there is lost."""
    root, home = layer.parent, _shown(layer, layer.parent)
    if not layer.is_dir():
        errors.append(ContractError(f"no folder {layer.name}", where=root, fix=f"create {home}"))
        return
    for path in entries(layer):
        file = ContractFile(path, layer.name, path.name, _shown(path, root), errors)
        if path.is_dir():
            file.check_name("folder", path.name, reserved=RESERVED)
            yield path
        elif path.suffix in (".yaml", ".yml", ".sql"):
            fix = f"move it to {home}/<{'domain' if layer.name == 'silver' else 'mart'}>/"
            file.error(f"{path.name} is outside of every folder", fix=fix)


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root.parent))


# -- YAML


class AsWritten(str):
    """A number of a YAML document, as it is written there."""


def parse(text: str, file: ContractFile) -> dict[str, Any] | None:
    """Return a YAML document; None, with an error added, where it is none, or has a key twice."""
    document = _constructed(text, file, _loader_class())
    if document is _UNREADABLE:
        return None
    if not isinstance(document, dict):
        file.error(f"the file holds {kind(document)}", fix="write a contract: `apiVersion: ...` and so on")
        return None
    return document


def parse_rows(text: str, file: ContractFile) -> list[dict[str, Any]] | None:
    """Return a YAML list of mappings, each with a value; None, with an error added, where it is none.

    A number is an AsWritten, a date the text that is written, and of the words for a boolean only true and false are.
    """
    rows = _constructed(text, file, _loader_of_rows())
    if rows is _UNREADABLE:
        return None
    if not isinstance(rows, list):
        what = f"the file holds {kind(rows)}"
    elif wrong := [row for row in rows if not isinstance(row, dict) or not row]:
        what = f"the list holds {kind(wrong[0])}"
    else:
        return rows
    file.error(what, fix="write a list of rows: `- {name: value, ...}`")
    return None


_UNREADABLE = object()


def _constructed(text: str, file: ContractFile, loader_class: Any) -> Any:
    """Return what a YAML text says; _UNREADABLE, with an error added, where it is no YAML, or has a key twice."""
    import yaml

    loader = loader_class(text)
    try:
        tree = loader.get_single_node()
        if not _is_bounded(tree):
            fix = "write out what the aliases (*name) stand for: followed one by one they grow without end"
            file.error(f"more than {_MOST_VALUES:,} values once its aliases are followed", fix=fix)
            return _UNREADABLE
        document = loader.construct_document(tree) if tree else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        file.error(f"not YAML: {problem}", f"line {mark.line + 1}" if mark else "", "correct the syntax")
        return _UNREADABLE
    finally:
        loader.dispose()
    for line, what, fix in loader.errors:
        file.error(what, f"line {line}", fix)
    return _UNREADABLE if loader.errors else document


def _is_bounded(tree: Any) -> bool:
    """Return whether a document has at most _MOST_VALUES values, those behind an alias counted at each of its uses.

    A few lines of aliases of aliases stand for more values than there is memory, or for themselves.
    """
    waiting, count = [tree] if tree else [], 0
    while waiting and count <= _MOST_VALUES:
        count += 1
        value = waiting.pop().value
        if isinstance(value, list):
            waiting += (part for item in value for part in (item if isinstance(item, tuple) else (item,)))
    return count <= _MOST_VALUES


@cache
def _loader_class() -> Any:
    """Return a safe YAML loader that reports duplicate keys, where PyYAML keeps the last, and leaves dates as text."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self.errors: list[tuple[int, str, str]] = []

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.tag != "tag:yaml.org,2002:str":
                    self.errors.append((line, f"key {key.value} is not text", "write a name, in quotes if need be"))
                elif key.value in seen:
                    self.errors.append((line, f"duplicate key {key.value}", "keep one of them"))
                seen.add(str(key.value))
            return super().construct_mapping(node, deep)

        def construct_yaml_float(self, node: Any) -> float:
            number = float(super().construct_yaml_float(node))
            written = node.value.replace("_", "")
            if re.fullmatch(r"[-+.0-9eE]+", written) and Decimal(written) != Decimal(repr(number)):
                line = node.start_mark.line + 1
                self.errors.append((line, f"{node.value}: read as {number!r}", "write a number of at most 15 digits"))
            return number

    Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_yaml_float)
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return Loader


@cache
def _loader_of_rows() -> Any:
    """Return that loader with scalars as they are written: 1.10 keeps its digits, 007 its zeros, and NO is no false."""
    base: Any = _loader_class()

    class Loader(base):  # type: ignore[misc]
        def as_written(self, node: Any) -> str:
            return AsWritten(node.value)

        def boolean(self, node: Any) -> bool | str:
            word = str(node.value)
            return {"true": True, "false": False}.get(word.lower(), word)

    for number in ("int", "float"):
        Loader.add_constructor(f"tag:yaml.org,2002:{number}", Loader.as_written)
    Loader.add_constructor("tag:yaml.org,2002:bool", Loader.boolean)
    return Loader


# -- the standard

_STANDARD = "see https://bitol-io.github.io/open-data-contract-standard"
_JSON_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys and values",
}


@cache
def _schema() -> dict[str, Any]:
    """Return the standard's JSON schema, closed where it lets unknown keys through, and for local servers only."""
    from importlib.resources import files

    text = files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    top, parts = schema["properties"], schema["$defs"]
    top["apiVersion"]["enum"] = [version for version in top["apiVersion"]["enum"] if version.startswith("v3.")]
    top["description"]["additionalProperties"] = False
    parts["SchemaProperty"]["required"] = ["name", "logicalType"]
    for part in parts["SchemaBaseProperty"]["allOf"]:
        part.get("if", {})["required"] = ["logicalType"]  # or every condition on it holds where it is missing
    with_type = {"properties": {"type": {"enum": ["text", "sql", "custom"]}}, "required": ["type"]}
    parts["DataQuality"]["allOf"][0]["if"] = {"not": with_type}  # library is the default, also where no metric says so
    server, local = parts["Server"], parts["ServerSource"]["LocalServer"]
    local["properties"]["delimiter"] = {"type": "string"}  # in the standard's model and text, not in its schema
    server["properties"] |= local["properties"]
    server["properties"]["type"]["enum"] = ["local"]
    server["required"] = [*server["required"], *local["required"]]
    server["additionalProperties"] = False
    del server["allOf"]
    return schema


@cache
def _verdict() -> Any:
    """Return the fast validator, which says only whether a contract conforms.

    It is 70 times as fast as the one that says where it does not, and every command waits for it.
    """
    from jsonschema_rs import validator_for

    return validator_for(_schema())


@cache
def _validator() -> Any:
    from jsonschema.validators import validator_for

    return validator_for(_schema())(_schema())


def conforming(document: dict[str, Any], file: ContractFile) -> dict[str, Any] | None:
    """Return the document without what breaks the standard, so that the rest can be checked in the same pass."""
    if _verdict().is_valid(document):
        return document
    validator = _validator()
    errors = [leaf for error in validator.iter_errors(document) for leaf in _leaves(error)]
    if not errors:
        return document
    reported = dict.fromkeys(found for error in errors for found in _translated(error))
    for path, what, fix in reported or {((), errors[0].message, _STANDARD): None}:
        file.error(what, _dotted(path), fix)
    for path, _, _ in sorted(reported, key=lambda found: len(found[0]), reverse=True):
        _remove(document, path)
        file.broken.add(_dotted(path))
    return document if validator.is_valid(document) else None


def _leaves(error: Any) -> Iterator[Any]:
    """Yield the errors of the one alternative that was meant; the error itself where that is not clear."""
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


def _translated(error: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield an error of the JSON schema as (key path, what, fix); nothing where it only follows from another."""
    path, found, rule = tuple(error.absolute_path), error.instance, error.validator_value
    name = _dotted(path).rpartition(".")[2] or "the contract"
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = _known_keys(error.schema, found)
        for key in found:
            if key not in known:
                yield (*path, key), f"unknown key {key}", hint(key, known)
    elif error.validator == "required":
        for key in rule:
            if key not in found:
                yield path, f"missing key {key}", f"write `{key}: ...`"
    elif error.validator == "type":
        fix = f"write {_JSON_KINDS.get(rule, rule)}" + (", in quotes" if rule == "string" and is_number(found) else "")
        yield path, f"{name} is {shown(found)}", fix
    elif error.validator == "enum":
        if isinstance(found, str):  # else its type is the error
            yield path, f"{name} {shown(found)}", hint(found, rule)
    elif error.validator == "oneOf" and "mustBe" in rule[0].get("required", ()):
        if isinstance(found, dict):  # else its type is the error
            operators = listed(key for key in found if key in OPERATORS)
            yield path, f"operators: {operators or 'none'}", f"write exactly one of {listed(OPERATORS)}"
    else:
        yield path, f"{name} {shown(found)}", error.schema.get("description") or f"{error.message[:200]}; {_STANDARD}"


def _known_keys(schema: Mapping[str, Any], found: Any) -> set[str]:
    """Return the keys a part of the schema gives a meaning to, in an object such as the one found."""
    validator = _validator()
    inner = [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if "$ref" in schema:
        target = validator.schema
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        inner.append(target)
    if "if" in schema and validator.evolve(schema=schema["if"]).is_valid(found):
        inner.append(schema["then"])
    return set(schema.get("properties", ())).union(*(_known_keys(part, found) for part in inner))


def _dotted(path: tuple[str | int, ...]) -> str:
    """Return a key path as schema[0].properties[3].logicalType."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _remove(document: Any, path: tuple[str | int, ...]) -> None:
    """Take a value out, unless it is in a list, where that would move its neighbours."""
    for step in path[:-1]:
        document = document[step]
    if path and isinstance(document, dict):
        document.pop(path[-1], None)
