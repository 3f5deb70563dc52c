"""Contracts as they were read last: as long as every file is the same, none is parsed and checked again.

What is kept counts for these names and contents of files alone, and for the code that read them; errors are never
kept. It is plain data, and a path in it leads below the project's own contracts: reading it runs nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path, PurePath
from typing import Any

from src.contract import ml, model
from src.contract.loading import load
from src.contract.model import Contracts, Mart, Share

_LAYERS = ("silver", "gold", "ml")
_READ = (".yaml", ".sql")  # whose text says something; of others it is the name
_LIBRARIES = ("yaml", "jsonschema_rs", "open_data_contract_standard")  # by which a contract is read
_SCALARS = (str, int, float, bool, type(None))
_CLASSES = {
    kind.__name__: kind
    for module in (model, ml)
    for kind in vars(module).values()
    if isinstance(kind, type) and is_dataclass(kind) and kind is not Contracts
}


def load_known(root: Path, kept: Mapping[str, Any]) -> tuple[Contracts, str, dict[str, Any]]:
    """Return the contracts below a folder, as they are kept if that is still so, with a hash of what they say.

    The third is what to keep in place of `kept`; empty for nothing. The hash is '' where nothing can be kept.

    Raises:
        ContractErrors: as `load`.
    """
    found = sources(root)
    if found and kept.get("of") == found:
        try:
            return _decoded(kept["contracts"], root), found, {}
        except (LookupError, TypeError, ValueError, AttributeError):
            pass  # not what this code wrote: read anew
    contracts = load(root)
    if not found or sources(root) != found:  # somebody is writing there
        return contracts, "", {}
    try:
        return contracts, found, {"of": found, "contracts": _encoded(contracts, root)}
    except _Unkept:
        return contracts, found, {}


def sources(root: Path) -> str:
    """Return a hash of all that contracts are read from, and of what reads them; '' where it cannot be told."""
    digest = hashlib.sha256(_reader().encode())
    try:
        for layer in _LAYERS:
            for name, text in _files(os.path.join(root, layer), layer):
                digest.update(f"{len(name)} {name} {len(text)} ".encode("utf-8", "surrogateescape") + text)
    except OSError:
        return ""  # whoever reads it is told
    return digest.hexdigest()


def _files(folder: str, shown: str, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield what lies below a folder by name, and of contracts and models the text.

    Raises:
        OSError: something cannot be read, or is a link to a folder, which may lead round in a circle.
    """
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in found:
        name = f"{shown}/{entry.name}"
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            if entry.is_symlink():
                raise OSError(f"{name} is a link to a folder")
            yield f"{name}/", b""
            yield from _files(entry.path, name, depth + 1)
        else:
            is_read = depth == 1 and entry.name.endswith(_READ)
            yield (name if entry.is_file() else f"{name}?"), Path(entry.path).read_bytes() if is_read else b""


@cache
def _reader() -> str:
    """Return a hash of the code and the libraries that read contracts: others may find something else in them."""
    here = Path(__file__).parent
    code = [path.read_bytes() for path in (*sorted(here.glob("*.py")), here.parent / "errors.py")]
    origins = [spec.origin for name in _LIBRARIES if (spec := PathFinder.find_spec(name)) and spec.origin]
    facts = [(origin, (at := os.stat(origin)).st_size, at.st_mtime_ns, at.st_ctime_ns) for origin in origins]
    return hashlib.sha256(b"".join(code) + repr((sys.version, facts)).encode()).hexdigest()


# -- as JSON has it


class _Unkept(Exception):
    """Something that JSON does not give back as it was."""


def _encoded(contracts: Contracts, root: Path) -> dict[str, Any]:
    encode = _encoder(root)
    every = {one.name: encode(getattr(contracts, one.name)) for one in fields(Contracts) if one.name != "marts"}
    every["marts"] = [[name, _encoded_mart(mart, contracts, encode)] for name, mart in contracts.marts.items()]
    return every


def _encoded_mart(mart: Mart, contracts: Contracts, encode: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a mart with the ids of those tables that are the same as among the contracts' own, and its document."""
    own = {name: encode(value) for name, value in vars(mart).items() if name not in ("document", "tables", "odcs")}
    tables = [one.id if contracts.gold.get(one.id) == one else encode(one) for one in mart.tables]
    return {**own, "tables": tables, "document": _plain(mart.document)}


def _plain(value: Any) -> Any:
    """Return a part of a document, which is JSON already."""
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: _plain(part) for key, part in value.items()}
    if type(value) is list:
        return [_plain(part) for part in value]
    if type(value) in _SCALARS:
        return value
    raise _Unkept


def _encoder(root: Path) -> Callable[[Any], Any]:
    """Return a function that gives a value as JSON has it: a tuple is a list, all else that is no scalar says its kind.

    Of a class it names the fields that differ from their defaults.
    """

    def encode(value: Any) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind is tuple:
            return [encode(part) for part in value]
        if kind is list:
            return {"list": [encode(part) for part in value]}
        if kind is dict:
            return {"dict": [[encode(key), encode(part)] for key, part in value.items()]}
        if kind is Share:
            return {"Share": [*value]}
        if isinstance(value, PurePath) and value.is_relative_to(root):
            return {"path": value.relative_to(root).as_posix()}
        if _CLASSES.get(kind.__name__) is not kind:
            raise _Unkept
        defaults, _ = _blank(kind)
        given = {name: found for name, found in vars(value).items() if not _is(found, defaults.get(name, MISSING))}
        return {kind.__name__: {one.name: encode(given[one.name]) for one in fields(kind) if one.name in given}}

    return encode


def _is(value: Any, default: Any) -> bool:
    """Return whether a value is the default, its type included: 1 is not True."""
    return value is default or (type(value) is type(default) and type(value) in _SCALARS and value == default)


@cache
def _blank(kind: Any) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return the defaults of a class's fields, and what makes those that each object has for itself."""
    known = fields(kind)
    made = {one.name: one.default_factory for one in known if one.default_factory is not MISSING}
    return {one.name: one.default for one in known if one.default is not MISSING}, made


def _decoded(kept: Mapping[str, Any], root: Path) -> Contracts:
    decode = _decoder(root)
    every = {one.name: decode(kept[one.name]) for one in fields(Contracts) if one.name != "marts"}
    marts = {name: _decoded_mart(mart, every["gold"], decode) for name, mart in kept["marts"]}
    return Contracts(**every, marts=marts)


def _decoded_mart(kept: Mapping[str, Any], gold: Mapping[str, Any], decode: Callable[[Any], Any]) -> Mart:
    own = {name: decode(value) for name, value in kept.items() if name not in ("document", "tables")}
    tables = tuple(gold[one] if isinstance(one, str) else decode(one) for one in kept["tables"])
    return Mart(**own, tables=tables, document=kept["document"])


def _decoder(root: Path) -> Callable[[Any], Any]:
    """Return the function that gives back what `_encoder` was given."""

    def decode(kept: Any) -> Any:
        if type(kept) is list:
            return tuple([decode(part) for part in kept])
        if type(kept) is not dict:
            return kept
        ((name, inner),) = kept.items()
        kind = _CLASSES.get(name)
        if kind is not None:
            return made(kind, inner)
        if name == "list":
            return [decode(part) for part in inner]
        if name == "dict":
            return {decode(key): decode(part) for key, part in inner}
        if name == "Share":
            return Share(*inner)
        if name == "path" and ".." not in inner.split("/"):
            return root / inner
        raise ValueError(name)

    def made(kind: Any, given: Mapping[str, Any]) -> Any:
        # past the constructor, which takes most of the time: these classes are their fields and nothing else
        defaults, factories = _blank(kind)
        value = object.__new__(kind)
        own = value.__dict__
        own.update(defaults)
        for name, factory in factories.items():
            own[name] = factory()
        for name, part in given.items():
            own[name] = part if type(part) in _SCALARS else decode(part)
        if len(own) != len(fields(kind)):
            raise ValueError(kind.__name__)
        return value

    return decode
