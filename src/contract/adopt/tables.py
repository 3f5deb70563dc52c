"""One table of another contract becomes one contract of ours: a feed, a key, audits and service levels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from src.contract.adopt.changes import Changes, objects, snake
from src.contract.adopt.properties import RESERVED, adopted_property, called, with_vendor
from src.contract.model import OPERATORS

_KEPT = "name tenant tags dataProduct description support price team roles authoritativeDefinitions contractCreatedTs"
_FORMATS = {  # of ours: how others call it
    "csv": "csv tsv txt text delimited",
    "ndjson": "ndjson jsonl jsonlines json-lines",
    "json": "json",
    "parquet": "parquet delta iceberg hudi deltalake",
    "xlsx": "xlsx xls excel",
}
_OF = {name: ours for ours, names in _FORMATS.items() for name in names.split()}
_PARTITION_TYPES = ("string", "integer", "boolean", "date")
_METRICS = {
    "nullCheck": "nullValues",
    "duplicateCount": "duplicateValues",
    "duplicateCheck": "duplicateValues",
    "uniqueCheck": "duplicateValues",
    "validValues": "invalidValues",
    "rowCountCheck": "rowCount",
}


_ARGUMENTS = {"missingValues": {"missingValues"}, "invalidValues": {"validValues", "pattern"}}


@dataclass(frozen=True)
class Names:
    """The names that tables and columns get, by those they had."""

    tables: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]  # by table

    @classmethod
    def from_tables(cls, tables: Sequence[Mapping[str, Any]]) -> Names:
        """Return the names of a document's tables, none of them twice."""
        named: dict[str, str] = {}
        columns: dict[str, dict[str, str]] = {}
        for table in tables:
            named.setdefault(str(table["name"]), snake(str(table["name"]), named.values(), "table"))
            found = columns.setdefault(str(table["name"]), {})
            for part in objects(table.get("properties")):
                found.setdefault(called(part), snake(called(part), (*found.values(), *RESERVED)))
        return cls(named, columns)


def is_ours(document: Mapping[str, Any]) -> bool:
    """Return whether a contract says how landed files are read, so that its expressions are about these."""
    servers = objects(document.get("servers"))
    return bool(servers) and all(server.get("type") == "local" and server.get("path") for server in servers)


def adopted_table(
    document: Mapping[str, Any], table: Mapping[str, Any], names: Names, domain: str, changes: Changes
) -> dict[str, Any]:
    """Return the contract of one table; `names` are those of all tables of the document."""
    original = str(table.get("name"))
    name, several = names.tables[original], len(names.tables) > 1
    found: dict[str, Any] = {"apiVersion": "v3.1.0", "kind": "DataContract"}
    given = str(document.get("id") or f"silver.{domain}")
    found["id"] = f"{given}.{name}" if several or not document.get("id") else given
    found["version"] = _version(document, changes)
    found["status"] = "draft"
    if document.get("status") != "draft":
        changes.add("status", f"{document.get('status') or 'none'}: draft, until its files are seen to fit")
    found |= {key: document[key] for key in _KEPT.split() if document.get(key)}
    if isinstance(found.get("description"), str):
        found["description"] = {"purpose": found["description"]}
    found["servers"] = _servers(document, name, domain, changes)
    found["schema"] = [_schema(table, name, names, changes, ours=is_ours(document))]
    columns = {part["name"] for part in found["schema"][0]["properties"]}
    found["slaProperties"] = _service_levels(document, original, name, columns, changes)
    found["customProperties"] = with_vendor(document.get("customProperties"), "customProperties", changes)
    dropped = sorted(set(document) - {*found, "domain", "status", "schema", "slaDefaultElement"})
    if dropped:
        changes.add("", f"{', '.join(dropped)}: no meaning here, left out")
    return {key: value for key, value in found.items() if value not in ([], {}, None)}


def _version(document: Mapping[str, Any], changes: Changes) -> str:
    given = str(document.get("version", ""))
    numbers = re.findall(r"\d+", given.split("-")[0].split("+")[0])[:3]
    version = ".".join([str(int(number)) for number in numbers] + ["0"] * (3 - len(numbers))) if numbers else "1.0.0"
    if version != given:
        changes.add("version", f"{given or 'none'}: {version}, of three numbers")
    return version


def _servers(document: Mapping[str, Any], name: str, domain: str, changes: Changes) -> list[dict[str, Any]]:
    """Return the one feed of a table: files that land below the landing zone, of the format the first server has."""
    if is_ours(document):
        return objects(document["servers"])
    servers = objects(document.get("servers"))
    first = servers[0] if servers else {}
    path = str(first.get("location") or first.get("path") or "")
    called = [str(first.get(key, "")).lower() for key in ("format", "type")] + [path.rpartition(".")[2].lower()]
    form = next((_OF[word] for word in called if word in _OF), "csv")
    feed: dict[str, Any] = {"server": name, "type": "local", "path": f"{domain}/{name}/*.{form}", "format": form}
    if form == "csv" and len(str(first.get("delimiter", ""))) == 1:
        feed["delimiter"] = first["delimiter"]
    kind = f"server of type {first['type']}" if first.get("type") else "no server"
    changes.add("servers", f"{kind}: a table is fed by files, a guess: data/landing/{feed['path']}")
    return [feed]


def _schema(table: Mapping[str, Any], name: str, names: Names, changes: Changes, *, ours: bool) -> dict[str, Any]:
    found = {key: value for key, value in table.items() if key not in ("physicalName", "logicalType")}
    found["name"] = name
    if name != table.get("name"):
        changes.add(str(table.get("name")), f"table named {name}, as names are written here")
    renamed = names.columns[str(table.get("name"))]
    columns: dict[str, dict[str, Any]] = {}  # by the names they had
    for part in objects(table.get("properties")):
        old = called(part)
        if old not in columns:
            columns[old] = adopted_property(part, f"{name}.{old}", renamed[old], changes, ours=ours)
        else:
            changes.add(f"{name}.{old}", "a second column of this name: left out")
    found["properties"] = list(columns.values())
    _number(found["properties"], "primaryKey", "primaryKeyPosition", name, changes)
    _set_partitions(found["properties"], name, changes)
    for old, column in columns.items():
        at = f"{name}.{old}"
        column["quality"] = _quality(column.get("quality"), str(table.get("name")), at, changes, of_column=True)
        column["relationships"] = _relationships(column.get("relationships"), names, at, changes)
    found["properties"] = [
        {k: v for k, v in column.items() if v not in ([], {}, None)} for column in found["properties"]
    ]
    found["quality"] = _quality(found.get("quality"), str(table.get("name")), name, changes, of_column=False)
    found["relationships"] = _relationships(found.get("relationships"), names, name, changes)
    found["customProperties"] = with_vendor(found.get("customProperties"), name, changes)
    return {key: value for key, value in found.items() if value not in ([], {}, None)}


# -- keys and partitions


def _number(columns: Sequence[dict[str, Any]], flag: str, position: str, name: str, changes: Changes) -> None:
    """Let the flagged columns have the positions 1, 2, ...; the others have none."""
    for column in columns:
        if column.get(flag) and (column["logicalType"] in ("array", "object") or column.get("physicalType") == "json"):
            changes.add(
                f"{name}.{column['name']}", f"{flag} of {column['logicalType']}: left out, a key is of single values"
            )
            column[flag] = False
    chosen = [column for column in columns if column.get(flag)]
    given = [column.get(position) for column in chosen]
    sound = all(isinstance(at, int) and at > 0 for at in given) and len(set(map(str, given))) == len(given)
    for column in columns:
        if not column.get(flag):
            column.pop(position, None)
            column.pop(flag, None)
    if len(chosen) > 1 and not sound:
        changes.add(name, f"{flag} of {len(chosen)} columns without positions: numbered in their order")
        for at, column in enumerate(chosen):
            column[position] = at + 1
    elif len(chosen) == 1:
        chosen[0].pop(position, None)


def _set_partitions(columns: Sequence[dict[str, Any]], name: str, changes: Changes) -> None:
    for column in columns:
        if column.get("partitioned"):
            required = column.get("required") or column.get("primaryKey")
            why = "" if required else "it may be absent"
            why = why if column["logicalType"] in _PARTITION_TYPES else f"it is a {column['logicalType']}"
            if why:
                changes.add(f"{name}.{column['name']}", f"partitioned: left out, as {why}")
                column["partitioned"] = False
    _number(columns, "partitioned", "partitionKeyPosition", name, changes)


# -- promises


def _quality(items: Any, table: str, where: str, changes: Changes, *, of_column: bool) -> list[dict[str, Any]]:
    """Return audits: those that can be asked here, the others as documentation."""
    found = []
    for item in objects(items):
        metric = item.get("metric") or item.get("rule")
        metric = _METRICS.get(str(metric), metric)
        operators = [key for key in item if key in OPERATORS]
        query = _of_object(str(item.get("query") or ""), table)
        audit = {key: value for key, value in item.items() if key != "rule"} | ({"metric": metric} if metric else {})
        audit |= {"query": query} if query else {}
        kind = item.get("type", "library")
        is_asked = kind == "library" and _is_metric(metric, audit, of_column)
        is_asked = is_asked or (kind == "sql" and bool(re.search(r"\{(object|table)\}", query)))
        if is_asked and len(operators) == 1:
            found.append(audit)
        elif item.get("type") == "text":
            found.append({"type": "text", "description": _described(item)})
        else:
            changes.add(where, f"quality {' '.join(_described(item).split())[:80]}: cannot be asked here, kept as text")
            found.append({"type": "text", "description": _described(item)})
    return found


def _of_object(query: str, table: str) -> str:
    """Return a query of a table by its name with the placeholder instead; as it is where it reads others too."""
    named = rf"\b(from)\s+(?:[\w\"`]+\.)*[\"`]?{re.escape(table)}[\"`]?(?![\w.])"
    found = re.sub(named, r"\1 ${object}", query, flags=re.IGNORECASE)
    return query if re.search(r"\b(?:from|join)\s+[\w\"`]", found, re.IGNORECASE) else found


def _is_metric(metric: object, audit: Mapping[str, Any], of_column: bool) -> bool:
    given = audit.get("arguments")
    arguments = set(given) if isinstance(given, dict) else set[str]()
    if of_column:
        asked = {"missingValues": {"missingValues"}, "invalidValues": {"validValues", "pattern"}}.get(
            str(metric), set()
        )
        return metric in ("nullValues", "duplicateValues") or bool(asked & arguments)
    return metric == "rowCount" or (metric == "duplicateValues" and "properties" in arguments)


def _described(item: Mapping[str, Any]) -> str:
    texts = [item.get(key) for key in ("name", "description", "metric", "rule", "query", "engine", "implementation")]
    asked = [f"{key} {item[key]}" for key in OPERATORS if key in item]
    return "; ".join([str(part).strip() for part in texts if part] + asked) or "no description"


def _relationships(items: Any, names: Names, where: str, changes: Changes) -> list[dict[str, Any]]:
    """Return the foreign keys whose both ends are columns of the document, by their new names."""
    found: list[dict[str, Any]] = []
    for item in objects(items):
        ends: dict[str, Any] = {side: item[side] for side in ("from", "to") if side in item}
        ours = {side: _end(end, names) for side, end in ends.items()}
        if "to" in ours and all(ours.values()):
            key: dict[str, Any] = {
                **item,
                **ours,
                "customProperties": with_vendor(item.get("customProperties"), where, changes),
            }
            found.append({part: value for part, value in key.items() if value != []})
        else:
            changes.add(where, f"relationship to {ends.get('to')}: no column of this contract, left out")
    return found


def _end(end: Any, names: Names) -> Any:
    texts = [str(text) for text in (end if isinstance(end, list) else [end])]
    found = []
    for text in texts:
        table, _, column = text.rpartition(".")
        if column not in names.columns.get(table, ()):
            return None
        found.append(f"{names.tables[table]}.{names.columns[table][column]}")
    return found if isinstance(end, list) else found[0]


def _service_levels(
    document: Mapping[str, Any], original: str, name: str, columns: set[str], changes: Changes
) -> list[dict[str, Any]]:
    found = []
    for item in objects(document.get("slaProperties")):
        item, kept = dict(item), []
        elements = str(item.pop("element", None) or "")
        for element in elements.split(","):
            table, _, column = element.strip().rpartition(".")
            if snake(column or "x") in columns:
                kept.append(f"{name}.{snake(column)}")
            elif column in (original, name) and not table:
                kept.append(name)
            elif element.strip():
                changes.add("slaProperties", f"{item.get('property')} of {element.strip()}: no such column, left out")
        if elements and not kept:
            continue
        value = str(item.get("value"))
        if re.fullmatch(r"\d+", value):
            item["value"] = int(value)
        found.append({**item, **({"element": ", ".join(kept)} if kept else {})})
    return found
