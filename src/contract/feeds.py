"""A server becomes a feed: which files below the landing zone belong to it, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from src.contract import custom
from src.contract.errors import ContractFile, Part, listed
from src.contract.model import Feed, Names, Source, Table
from src.errors import UsageError

_FORMATS = ("csv", "fixed", "ndjson", "json", "xml", "parquet", "avro", "orc", "xlsx")
_ONLY_FOR = {  # an option that is not here is for all of them
    "delimiter": ("csv",),
    "encoding": ("csv", "fixed", "ndjson", "json"),
    "quote": ("csv",),
    "escape": ("csv",),
    "header": ("csv", "fixed", "xlsx"),
    "skipFooter": ("csv", "fixed", "xlsx"),
    "names": ("csv", "xlsx"),
    "columns": ("csv", "xlsx"),
    "recordPath": ("json", "xml"),
    "fixedWidth": ("fixed",),
    "sheet": ("xlsx",),
    "decimal": ("csv",),  # the other formats have numbers of their own, which are written in one way
    "thousands": ("csv",),
}
_ADDED = ("_file", "_row", "_ingested_at", "_batch", "_reject", "_raw")  # to the columns of every file


def feeds(document: Part) -> tuple[Feed, ...]:
    """Return the feeds that a silver contract declares."""
    servers = document.parts("servers")
    if not servers:
        fix = "write where the files land: `{server: <feed>, type: local, path: <domain>/<feed>/*.csv, format: csv}`"
        document.error("no servers", "servers", fix)
    found: dict[str, Feed] = {}
    for server in servers:
        feed = _feed(server)
        if feed.name in found:
            server.error(f"duplicate feed {feed.name}", "server", "keep one of them")
        found[feed.name] = feed
    return tuple(found.values())


def agreed(silver: Iterable[tuple[ContractFile, Table]]) -> dict[str, Feed]:
    """Return every feed once, by id; two contracts that read the same feed must say the same about it."""
    found: dict[str, Feed] = {}
    for file, table in silver:
        for index, feed in enumerate(table.feeds):
            known = found.setdefault(feed.id, feed)
            if known != feed:
                names = [field.name for field in fields(Feed) if field.compare]
                differ = [name for name in names if getattr(known, name) != getattr(feed, name)]
                other = known.declared_in.name if known.declared_in else ""
                fix = f"write the same in {other} and {file.path.name}, or give the feed another name"
                file.error(f"feed {feed.name} differs from {other} in {listed(differ)}", f"servers[{index}]", fix)
    return found


def _feed(server: Part) -> Feed:
    node = server.node
    options = custom.values(server, custom.FEED)
    options |= {name: node[name] for name in ("delimiter", "encoding") if name in node}
    for name in options:
        if node["format"] in _FORMATS and node["format"] not in _ONLY_FOR.get(name, _FORMATS):
            at = name if name in node else f"customProperties[{name}]"
            fix = f"{name} is for {listed(_ONLY_FOR[name])}; remove it"
            server.error(f"{name} with format {node['format']}", at, fix)
    options["encoding_stated"] = "encoding" in options
    if "encoding" in options:
        options["encoding"] = _encoding(options["encoding"], server)
    options["columns"] = tuple(options.get("columns", ()))
    if "source" in options:
        options["source"] = source(options["source"], server.file.domain)
    options["null_values"] = tuple(sorted(options.pop("nullValues", ())))  # their order says nothing
    options["header"] = _header(options.get("header", node["format"] != "fixed"))
    options["fixed_width"] = tuple((name, *span) for name, span in options.pop("fixedWidth", {}).items())
    options["skip_footer"] = options.pop("skipFooter", 0)
    options["record_path"] = custom.path_steps(path) if (path := options.pop("recordPath", "")) else ()
    options["names"] = _names(options.get("names", {}), server)
    if options.get("thousands") == ".":
        options.setdefault("decimal", ",")
    feed = Feed(
        domain=server.file.domain,
        name=node["server"],
        path=node["path"],
        format=node["format"],
        declared_in=server.file.path,
        **options,
    )
    _check(feed, server)
    return feed


def written_source(text: str, domain: str) -> Source:
    """Return a source from what a contract says of it, without the braces: connector: rest, url: ...

    Raises:
        UsageError: it is not that.
    """
    import yaml

    try:
        written = yaml.safe_load(text if text.lstrip().startswith("{") else f"{{{text}}}")
    except yaml.YAMLError:
        written = None
    expected, fits = custom.FEED["source"]
    if not fits(written):
        raise UsageError(f"the source {text!r} cannot be read", fix=f"write {expected}")
    return source(written, domain)


def source(written: Mapping[str, Any], domain: str) -> Source:
    """Return a source as it is written; its connector says later whether it knows the options."""
    own = {name: value for name, value in written.items() if name not in ("connector", "name")}
    return Source(written["connector"], written.get("name", domain), own)


def _check(feed: Feed, server: Part) -> None:
    server.file.check_name("feed", feed.name, server.key_path("server"))
    if feed.format not in _FORMATS:
        server.error(f"format {feed.format}", "format", f"supported: {listed(_FORMATS)}")
    steps = feed.path.split("/")
    if not feed.path.strip() or "\\" in feed.path or feed.path.startswith(("/", "~")) or {"..", ""} & set(steps):
        server.error(f"path {feed.path}", "path", "write a glob below the landing zone, for example sales/orders/*.csv")
    elif any("**" in step and step != "**" for step in steps) or steps[-1] == "**":
        server.error(f"path {feed.path}", "path", "** stands for any folders, alone between slashes: sales/**/*.csv")
    if not 1 <= len(feed.delimiter) <= 4 or set(feed.delimiter) & {"\n", "\r", feed.quote}:
        server.error(f"delimiter {feed.delimiter!r}", "delimiter", 'write one character, for example ";" or "\\t"')
    if feed.thousands == feed.decimal:
        fix = 'write what stands before the fraction: `decimal: "."` or `decimal: ","`'
        server.error(f"thousands and decimal are both {feed.decimal}", "customProperties[thousands]", fix)
    if feed.format == "xml" and not feed.record_path:
        fix = "write the elements that lead to a record: `{property: recordPath, value: catalog/book}`"
        server.error("format xml without recordPath", "customProperties", fix)
    if feed.format == "fixed":
        _check_fixed(feed, server)
    elif bool(feed.header) == bool(feed.columns):
        fix = "name the columns of files without a header: `header: false` and `columns: [...]`, or neither"
        server.error(f"header {str(feed.header).lower()}, {len(feed.columns)} columns", "customProperties", fix)
    if not feed.header and feed.names != Names():
        fix = "remove it: without a header `columns` has the names"
        server.error("names with header false", "customProperties[names]", fix)


def _check_fixed(feed: Feed, server: Part) -> None:
    if not feed.fixed_width:
        fix = "write where each column is: `{property: fixedWidth, value: {a: [1, 8], b: [9, 20]}}`"
        server.error("format fixed without fixedWidth", "customProperties", fix)
    if feed.header == "auto":
        fix = "write how many lines stand above the first row: `header: 2`"
        server.error("header auto with format fixed", "customProperties[header]", fix)


def _header(value: Any) -> bool | int | str | tuple[int, int]:
    if isinstance(value, list):
        return value[0], value[1]
    return True if value == 1 else value  # line 1 is where it is anyway


def _names(value: Mapping[str, str], server: Part) -> Names:
    unnamed = value.get("unnamed", "").strip()
    if unnamed.lower() in _ADDED:
        fix = f"write another name; Boathouse adds {listed(_ADDED)}"
        server.error(f"unnamed: {unnamed}", "customProperties[names]", fix)
    return Names(unnamed, "repeated" in value)


def _encoding(name: str, server: Part) -> str:
    import codecs

    try:
        "".encode(name)  # refuses codecs such as base64, which do not give text
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        fix = "write one Python knows, for example utf-8, latin-1, cp1252, utf-16"
        server.error(f"encoding {name}", "encoding", fix)
        return name
