"""What Boathouse adds to the standard are `customProperties`; another `vendor`'s are let through."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from src.contract.errors import Part, hint, shown
from src.contract.model import AGGREGATES, SEVERITIES, Share


def is_text(value: object) -> bool:
    """Return whether a value is text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_character(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1 and value not in ("\n", "\r")


def _is_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_text, value)) and len(set(value)) == len(value)


def _is_source(value: object) -> bool:
    return isinstance(value, dict) and is_text(value.get("connector")) and is_text(value.get("name", "the domain"))


def _is_null_texts(value: object) -> bool:
    return _is_names(value) and all(text == text.strip() for text in value)  # type: ignore[attr-defined]


def _is_line(value: object, most: int = 10_000) -> bool:
    return is_whole(value) and 1 <= value <= most  # type: ignore[operator]  # it is a number


def path_steps(value: str) -> tuple[str, ...]:
    """Return the steps of a path: data.items, or with slashes where a name has a point."""
    return tuple(value.strip("/").split("/" if "/" in value else "."))


def _is_path(value: object) -> bool:
    return is_text(value) and all(map(is_text, path_steps(value)))  # type: ignore[arg-type]  # it is text


def _is_widths(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(is_text, value)) and all(map(_is_span, value.values()))


def _is_span(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_line, value)) and value[0] <= value[1]


def _is_header(value: object) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and all(map(_is_line, value)) and 0 < value[1] - value[0] < 10
    return isinstance(value, bool) or value == "auto" or _is_line(value)


def _is_name_rule(value: object) -> bool:
    known: dict[str, Callable[[object], bool]] = {"unnamed": is_text, "repeated": lambda rule: rule == "number"}
    return isinstance(value, dict) and bool(value) and all(name in known and known[name](value[name]) for name in value)


_SHARE = re.compile(r"(\d+(?:\.\d+)?) ?(%)|(\d+)(?: rows?)?")


def share(value: object) -> Share | None:
    """Return what a share of rows says, `5 %` or a number of rows; None where it is neither."""
    found = _SHARE.fullmatch(str(value).strip()) if is_whole(value) or isinstance(value, str) else None
    if found is None or (found[2] and float(found[1]) > 100):
        return None
    return Share(float(found[1]), "percent") if found[2] else Share(float(found[3]), "rows")


def _is_drift(value: object) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and all(map(is_number, value)) and 0 < value[0] < value[1]
    return value == "psi"


_WATCH = {"by": _is_names, "value": is_text, "source": is_text, "dictionary": is_text}


def _is_watch(value: object) -> bool:
    known = isinstance(value, dict) and all(name in _WATCH and _WATCH[name](value[name]) for name in value)
    return known and {"by", "value"} <= value.keys()  # type: ignore[attr-defined]  # it has keys


def _is_known_at(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(_is_known_part, value.values()))


def _is_known_part(value: object) -> bool:
    return value == "always" or (isinstance(value, dict) and "rows" in value and all(map(is_text, value.values())))


def _is_aggregate(value: object) -> bool:
    return is_text(value) and value in AGGREGATES


_MEASURE = {"column": is_text, "aggregate": _is_aggregate, "by": is_text, "weight": is_text}


def _is_measure(value: object) -> bool:
    known = isinstance(value, dict) and all(name in _MEASURE and _MEASURE[name](value[name]) for name in value)
    return known and {"column", "aggregate"} <= value.keys()  # type: ignore[attr-defined]  # it has keys


CustomProperties = Mapping[
    str, tuple[str, Callable[[Any], bool]]
]  # name: what is expected, and whether a value is that

FEED: CustomProperties = {
    "quote": ('one character, or "" for none', _is_character),
    "escape": ('one character, or "" for none', _is_character),
    "header": ("true, false, auto, the line it is in, or its first and last line: [3, 4]", _is_header),
    "skipFooter": ("how many lines at the end are no rows: 1 to 1,000", lambda value: _is_line(value, 1_000)),
    "fixedWidth": ("the first and last character of each column: {a: [1, 8], b: [9, 20]}", _is_widths),
    "recordPath": ("the keys that lead to the records, such as data.items", _is_path),
    "names": ("{unnamed: <name>}, {repeated: number} or both", _is_name_rule),
    "columns": ("a list of distinct names", _is_names),
    "sheet": ('the name of a sheet, or "*" for all that are visible', is_text),
    "decimal": ('"." or ","', lambda value: value in (".", ",")),
    "source": ("who brings the files: {connector: <name>, name: <of the credentials>, ...}", _is_source),
    "nullValues": ('a list of distinct texts in quotes, without outer blanks, such as ["NA", "-"]', _is_null_texts),
    "thousands": ('".", ",", " " or "\'"', lambda value: value in (".", ",", " ", "'")),
}
_ANY_TABLE: CustomProperties = {
    "businessDate": ("the name of the column that the business dates a row by", is_text),
    "zOrderBy": ("a list of distinct column names", _is_names),
    "critical": ("true or false", lambda value: isinstance(value, bool)),
    "watch": (
        "{by: [columns], value: a column}, and where there are such `source: one of these columns`, "
        "`dictionary: a table`",
        _is_watch,
    ),
}
TABLE: Mapping[str, CustomProperties] = {  # by layer
    "silver": {
        **_ANY_TABLE,
        "sequenceOrder": ("text", lambda value: value == "text"),
        "sequenceBy": ("a column name or a list of them", lambda value: is_text(value) or _is_names(value)),
        "deleteWhen": ("an SQL condition over the table's columns", is_text),
        "history": ("scd1 or scd2", lambda value: value in ("scd1", "scd2")),
        "onConflict": ("fail, quarantine or last", lambda value: value in ("fail", "quarantine", "last")),
        "replaces": ("all, or a list of distinct column names", lambda value: value == "all" or _is_names(value)),
        "maxRemoved": (
            "a share of the table's rows, such as 5 %, or a number of rows",
            lambda value: bool(share(value)),
        ),
        "maxRejected": ("a share of a load's rows, such as 5 %, or a number of rows", lambda value: bool(share(value))),
    },
    "gold": {
        **_ANY_TABLE,
        "refresh": ("incremental, full or partitions", lambda value: value in ("incremental", "full", "partitions")),
        "lookback": ("a number of earlier partitions, 0 or more", lambda value: is_whole(value) and value >= 0),
        "optionalSources": ("a list of distinct table ids, such as silver.domain.table", _is_names),
        "measure": (
            f"{{column: a column, aggregate: {', '.join(AGGREGATES)}}}, and where there are such `by: a column`, "
            "`weight: a column`",
            _is_measure,
        ),
        "eventTime": ("the name of the column that dates the event a row of features is of", is_text),
        "knownAt": (
            "by each table that the model reads: always, or {rows: SQL, a column: SQL}, the SQL a date or timestamp",
            _is_known_at,
        ),
        "scoredBy": ("a model of machine learning, such as delivery.late_shipment", is_text),
        "softSources": ("a list of distinct table ids, such as silver.domain.table", _is_names),
    },
}
MASKS = ("hash", "partial", "null")
COLUMN: CustomProperties = {
    "mask": ("hash, partial or null", lambda value: value is None or value in MASKS),
    "drift": ("psi, or its two bounds, the lower first: [0.1, 0.25]", _is_drift),
}
SILVER_COLUMN: CustomProperties = {
    **COLUMN,
    "optional": ("true or false", lambda value: isinstance(value, bool)),
}
GOLD_COLUMN: CustomProperties = {
    **COLUMN,
    "feature": ("true or false", lambda value: isinstance(value, bool)),
    "nonFinite": ("allowed, or leave it out: then infinity and NaN stop the write", lambda value: value == "allowed"),
}
RELATIONSHIP: CustomProperties = {
    "severity": ("error (stops the write) or warning", lambda value: value in SEVERITIES),
}


def values(part: Part, known: CustomProperties) -> dict[str, Any]:
    """Return the values of a part's custom properties; add an error for each that is not as expected."""
    found: dict[str, Any] = {}
    for item in part.node.get("customProperties", ()):
        name, value = item["property"], item["value"]
        at = f"customProperties[{name}]"
        if item.get("vendor", "boathouse") != "boathouse":
            continue
        if name not in known:
            fix = hint(name, known) + "; another tool's property says `vendor: ...`"
            part.error(f"unknown property {name}", at, fix)
        elif name in found:
            part.error(f"duplicate property {name}", at, "keep one of them")
        elif not known[name][1](value):
            part.error(f"{name} {shown(value)}", at, f"write {known[name][0]}")
        else:
            found[name] = value
    return found
