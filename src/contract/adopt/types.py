"""The types of other databases and standards, and what a column of ours is called for each."""

from __future__ import annotations

import re
from typing import NamedTuple

_KINDS = {  # ours: the logical type, and the physical one where the logical type alone would be another
    "string": "char nchar varchar nvarchar varchar2 bpchar character text ntext string clob nclob tinytext mediumtext "
    "longtext fixedstring nvarchar2",
    "named": "citext uuid uniqueidentifier guid xml enum inet cidr name sysname keyword url",  # text, and never JSON
    "tinyint": "tinyint int1 byte int8t",
    "smallint": "smallint int2 short smallserial int16 uint8",
    "integer": "integer int int4 serial mediumint signed int32 uint16 year",
    "bigint": "bigint int8 long bigserial int64 uint32 counter",
    "decimal": "decimal numeric dec number money smallmoney bignumeric bigdecimal uint64 uint128 int128 hugeint fixed",
    "float": "float4 real float32",
    "double": "double float float8 float64 double_precision binary_double",
    "boolean": "boolean bool bit logical flag",
    "date": "date localdate date32",
    "timestamp": "timestamp timestamptz timestamp_tz timestamp_ntz timestamp_ltz datetime datetime2 datetime64 "
    "smalldatetime datetimeoffset timestamp_with_time_zone timestamp_without_time_zone instant",
    "time": "time time_without_time_zone localtime",
    "json": "json jsonb variant object super struct record row map array list nested dict hstore vector repeated",
    "binary": "binary varbinary blob bytes bytea raw image longblob mediumblob",
}
_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_INTEGERS = ("tinyint", "smallint", "integer", "bigint")
_MONEY = {"money": (19, 4), "smallmoney": (10, 4)}
_UNSAID = (38, 9)  # digits of a decimal that says none, and of these after the point
_WRAPPED = re.compile(r"(?:nullable|lowcardinality)\((.*)\)")
_SPELLED = re.compile(r"([a-z_][a-z0-9_ ]*?) ?(?:[(\[<](.*)[)\]>])?(?: (?:unsigned|not null|null|with.*|without.*))*")


class Type(NamedTuple):
    """A column's type as our contracts write it; `length` of text; `kind` is the name in _KINDS."""

    logical: str
    physical: str | None = None
    length: int | None = None
    kind: str = "string"


def found(logical: str | None, physical: str | None) -> Type | None:
    """Return the type of a column; None where nothing that it says is a type that is known.

    What the database has decides; its text may be whatever the logical type says that it is.
    """
    stored, meant = _known_type(physical), _known_type(logical)
    if logical in ("integer", "number") and meant:
        meant = Type(logical, kind="bigint" if logical == "integer" else "double")
    if stored is None and physical and meant and meant.kind == "json":
        return None
    if stored is None or (stored.kind in ("string", "json") and meant and meant.kind != "string"):
        return meant
    return stored


def _known_type(text: str | None) -> Type | None:
    name = " ".join(str(text or "").lower().split())
    while unwrapped := _WRAPPED.fullmatch(name):
        name = unwrapped[1]
    spelled = _SPELLED.fullmatch(name)
    base = spelled[1].replace(" ", "_") if spelled else ""
    kind = _OF.get(name.replace(" ", "_")) or _OF.get(base) or _OF.get(base.partition("_")[0])
    if kind is None or spelled is None:
        return None
    numbers = [int(part) for part in re.findall(r"\d+", spelled[2] or "")] if kind != "json" else []
    if name.endswith("[]") or (name.endswith("]") and kind != "string"):
        kind = "json"
    if kind == "decimal":
        return _decimal(base, numbers)
    if kind in ("string", "named"):
        return Type(
            "string", kind=kind, length=numbers[0] if numbers and numbers[0] < 65_536 and base != "enum" else None
        )
    if kind in _INTEGERS:
        return Type("integer", None if kind == "bigint" else kind, kind=kind)
    if kind in ("float", "double"):
        return Type("number", "float" if kind == "float" else None, kind=kind)
    logical = {
        "json": "array" if base in ("array", "list", "repeated") or "[" in name else "object",
        "binary": "string",
    }
    return Type(logical.get(kind, kind), "json" if kind == "json" else None, kind=kind)


def _decimal(base: str, numbers: list[int]) -> Type:
    precision, scale = (*numbers, 0)[:2] if numbers else _MONEY.get(base, _UNSAID)
    if base in ("uint64", "int128", "uint128", "hugeint"):
        precision, scale = 38, 0
    precision = min(max(precision, scale, 1), 38)
    return Type("number", f"decimal({precision},{min(scale, precision)})", kind="decimal")
