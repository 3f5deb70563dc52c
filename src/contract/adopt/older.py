"""A contract of ODCS version 2 is written in version 3: the same facts under their later names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.contract.adopt.changes import Changes, objects

_TOP = {
    "uuid": "id",
    "datasetDomain": "domain",
    "quantumName": "dataProduct",
    "datasetName": "name",
    "stakeholders": "team",
    "slaDefaultColumn": "slaDefaultElement",
    "dataset": "schema",
}
_TABLE = {"table": "name", "dataGranularity": "dataGranularityDescription", "columns": "properties"}
_COLUMN = {
    "column": "name",
    "isPrimary": "primaryKey",
    "isPrimaryKey": "primaryKey",
    "isUnique": "unique",
    "partitionStatus": "partitioned",
    "criticalDataElementStatus": "criticalDataElement",
    "encryptedColumnName": "encryptedName",
    "transformSourceTables": "transformSourceObjects",
    "sampleValues": "examples",
}
_QUALITY = {"code": "name", "templateName": "name"}
_SLA = {"column": "element"}


def is_older(document: Mapping[str, Any]) -> bool:
    """Return whether a contract is written in version 2, whatever it says it is."""
    return str(document.get("apiVersion", "")).startswith("v2") or "dataset" in document


def as_version_3(document: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return a contract of version 2 as one of version 3."""
    changes.add("apiVersion", f"{document.get('apiVersion', 'version 2')}: written as version 3, with its names")
    found = _renamed(document, _TOP)
    found["support"] = [
        {"channel": channel, "url": str(document[key])}
        for key, channel in (("productSlackChannel", "slack"), ("productFeedbackUrl", "feedback"))
        if document.get(key)
    ]
    found["schema"] = [_table(table) for table in objects(found.get("schema"))]
    found["slaProperties"] = [_renamed(item, _SLA) for item in objects(found.get("slaProperties"))]
    found["servers"] = [{"type": str(document.get("driver") or document.get("sourcePlatform") or "database")}]
    return found


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    found = _renamed(table, _TABLE)
    found["properties"] = [_column(column) for column in objects(found.get("properties"))]
    found["quality"] = [_renamed(item, _QUALITY) for item in objects(found.get("quality"))]
    return found


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    found = _renamed(column, _COLUMN)
    if "isNullable" in found:
        found["required"] = not found.pop("isNullable")
    found["quality"] = [_renamed(item, _QUALITY) for item in objects(found.get("quality"))]
    found["properties"] = [_column(part) for part in objects(found.get("properties") or found.pop("columns", None))]
    return {key: value for key, value in found.items() if value != [] or key not in ("quality", "properties")}


def _renamed(part: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in part.items():
        found.setdefault(names.get(key, key), value)
    return found
