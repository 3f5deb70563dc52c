"""The cause of a rejected load lies in its values: how its dates are written, what parts a fraction.

A cause is named only where every value that was rejected for one reason bears it out. It is advice to a person: it
changes no row, and a value is still read as the contract says and in no other way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from src.contract import TIMESTAMP, Column, Feed, Table
from src.engine import DuckEngine, literal
from src.errors import BoathouseError, nearest
from src.silver import exact
from src.silver.advice import logic, name_in_sql
from src.silver.batch import Batch
from src.silver.reasons import Reason

_FEW = 5  # distinct values that are shown
_SAMPLED = 1_000  # distinct values by which formats are chosen; the chosen ones are tried on all
_DATES = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_SIGNS = {  # what parts the fraction and the thousands of a number, the plainer first
    (",", ""): "a decimal comma",
    (".", ","): "a comma between thousands",
    (",", "."): "a decimal comma and a point between thousands",
    (",", " "): "a decimal comma and a blank between thousands",
    (".", " "): "a blank between thousands",
    (".", "'"): "an apostrophe between thousands",
    (",", "'"): "a decimal comma and an apostrophe between thousands",
}
_BESIDE = "^([^0-9+.,-]*)[+-]?[0-9][0-9., '\u00a0\u202f]*?([^0-9., '\u00a0\u202f]?[^0-9]*)$"  # a currency or unit
_TRUTHS = {"ja": "nein", "yes": "no", "y": "n", "j": "n", "oui": "non", "si": "no", "sí": "no", "x": "", "on": "off"}


@dataclass(frozen=True)
class Cause:
    """A cause of rejected rows: what their values are, and what to write; reasons of one `kind` have one cause."""

    kind: str
    what: str
    fix: str


def find(engine: DuckEngine, table: Table, reason: Reason) -> Cause | None:
    """Return the cause of a reason, its rows in `rejected`; None where the values do not tell."""
    try:
        return _found(engine, table, reason)
    except BoathouseError:
        return None  # advice: that it cannot be had must not hide the failure that it is about


def _found(engine: DuckEngine, table: Table, reason: Reason) -> Cause | None:
    feed = _feed_of(table, reason.file)
    if reason.rule == "line":
        return _of_line(feed, reason)
    column = next((column for column in table.columns if column.name == reason.column), None)
    if column is None or not reason.values.startswith("{"):
        return None
    names = list(json.loads(reason.values))
    read = {column.name.lower()} if column.expression is None else engine.column_references(column.expression)
    if reason.rule == "required" and (missing := sorted(read - {name.lower() for name in names})):
        return _of_missing(engine, column, missing[0], names, reason)
    if reason.rule == "required" and column.name not in table.key:
        fix = f"remove `required: true` at {column.name} where it may be empty, or land rows that have it"
        return Cause(reason.code, f"the file has the column {', '.join(sorted(read))}, with nothing in it", fix)
    source = next((name for name in names if name.lower() in read), None) if len(read) == 1 else None
    if source is None or '"' in source or reason.rule not in ("type", "enum"):
        return None
    texts = f"""trim(_values::JSON ->> {literal(f'$."{source}"')})"""
    coded = f"list_contains(_codes, {literal(reason.code)})"
    engine.table(Batch.TEXTS, f"SELECT DISTINCT {texts} AS text FROM {Batch.REJECTED} WHERE {coded}")
    values = _Values(engine, column, source, feed)
    return _of_enum(values) if reason.rule == "enum" else _of_type(values)


def _feed_of(table: Table, file: str) -> Feed:
    return next((feed for feed in table.feeds if fnmatch(file, f"{feed.path}*")), table.feeds[0])


# -- lines and columns


def _of_line(feed: Feed, reason: Reason) -> Cause | None:
    if width := re.search(r"expected (\d+) values, found (\d+)$", reason.text):
        what = f"the header has {width[1]} columns, the rows have {width[2]} values"
        fix = f"name every column in the header, or quote values in which there is a {json.dumps(feed.delimiter)}"
        return Cause("width", what, fix)
    return None


def _of_missing(engine: DuckEngine, column: Column, missing: str, names: Sequence[str], reason: Reason) -> Cause:
    """Return the cause of a column that the file does not have."""
    what = f"{reason.file} has no column {missing}; it has {', '.join(names)}"
    if near := nearest(missing, names):
        meant = name_in_sql(engine, near)
        expression = f"coalesce({name_in_sql(engine, missing)}, {meant})"
        return Cause(f"missing {missing}", what, f"if {meant} is meant, {logic(column, expression)}")
    return Cause(f"missing {missing}", what, f"land the file with a column {missing}")


def _options_of(feed: Feed) -> str:
    return f"in the customProperties of server {feed.name}"


# -- values


@dataclass(frozen=True)
class _Values:
    """The distinct texts of one column that were rejected for one reason, in the temporary table `texts`."""

    engine: DuckEngine
    column: Column
    source: str  # the file's column
    feed: Feed

    def all(self, test: str) -> bool:
        """Return whether a condition, SQL over `text`, is true for each of them."""
        found = self.engine.one(f"SELECT bool_and(coalesce({test}, false)) FROM {Batch.TEXTS}")[0]
        return bool(found)

    def few(self) -> list[str]:
        """Return the texts in order where they are few, and none of them is empty; else none."""
        found = self.engine.values(f"SELECT text FROM {Batch.TEXTS} ORDER BY 1 LIMIT {_FEW + 1}")
        return [] if len(found) > _FEW or not all(found) else found

    def fix(self, expression: str) -> str:
        return logic(self.column, expression)

    @property
    def name(self) -> str:
        return name_in_sql(self.engine, self.source)


def _of_enum(values: _Values) -> Cause | None:
    found = values.few()
    if not found:
        return None
    fix = f"add them to the rule at {values.column.name} if they are right"
    return Cause(f"enum {found}", f"the values that are not allowed are {', '.join(found)}", fix)


def _of_type(values: _Values) -> Cause | None:
    kind = values.column.type
    of_kind: tuple[Callable[[_Values], Cause | None], ...] = ()
    if kind in ("DATE", TIMESTAMP):
        of_kind = (_epoch, _date_format)
    elif values.column.expression not in (None, values.source):
        return None  # what an expression of one's own makes of numbers and words is not known here
    elif exact.is_number(kind):
        of_kind = (_signs, _beside, _fraction)
    elif kind == "BOOLEAN":
        of_kind = (_truth,)
    of_all = () if values.column.required else (_null_words,)
    return next((cause for look in (*of_kind, *of_all) if (cause := look(values))), None)


def _epoch(values: _Values) -> Cause | None:
    for digits, unit, function in ((10, "seconds", "to_timestamp"), (13, "milliseconds", "epoch_ms")):
        if values.all(f"regexp_full_match(text, '1[0-9]{{{digits - 1}}}')"):
            what = f"every value is a number of {unit} since 1970"
            return Cause(f"epoch {unit}", what, values.fix(f"{function}({values.name}::bigint)"))
    return None


def _date_format(values: _Values) -> Cause | None:
    """Return the cause of dates that are written in another format than ISO's, or in several."""
    sample = f"(FROM {Batch.TEXTS} LIMIT {_SAMPLED})"
    formats = [f"{day}{time}" for day in _DATES for time in _TIMES]
    counted = ", ".join(f"count(*) FILTER ({_is_moment([form])})" for form in formats)
    counts = dict(zip(formats, values.engine.one(f"SELECT {counted} FROM {sample}"), strict=True))
    likely = sorted((form for form in formats if counts[form]), key=lambda form: -counts[form])
    whole = [form for form in likely if values.all(_is_moment([form]))]
    if len(whole) > 1:
        either = " or ".join(values.fix(_parsed(values, [form])) for form in whole)
        return Cause(f"date {whole}", f"every value fits {' and '.join(whole)}", f"{either}, whichever is meant")
    if whole:
        return Cause(f"date {whole}", f"every value is written {whole[0]}", values.fix(_parsed(values, whole)))
    for several in (likely[:2], likely[:3]):
        if len(several) > 1 and values.all(_is_moment(several)):
            what = f"the values are written {' and '.join(several)}"
            return Cause(f"date {several}", what, values.fix(_parsed(values, several)))
    return None


def _is_moment(formats: Sequence[str]) -> str:
    return f"year(try_strptime(text, {literal(list(formats))})) > 999"


def _parsed(values: _Values, formats: Sequence[str]) -> str:
    """Return the expression that reads a text of these formats; a date's own time, if it has one, is cut off."""
    form = literal(formats[0] if len(formats) == 1 else list(formats))
    day = "::date" if values.column.type == "DATE" and any("%H" in form or "%I" in form for form in formats) else ""
    return f"strptime({values.name}, {form}){day}"


def _signs(values: _Values, text: str = "text") -> Cause | None:
    """Return the cause of numbers whose fraction or thousands are parted by other signs than the contract says."""
    fitting = [signs for signs in _SIGNS if signs != _signs_of(values.feed) and _is_number(values, text, signs)]
    if not fitting:
        return None
    what = f"the numbers have {_SIGNS[fitting[0]]}"
    if fitting[:2] == [(",", ""), (".", ",")]:  # 1,234 is either
        what += f", or {_SIGNS[fitting[1]]}"
        fix = " or ".join(_set_signs(values, *signs) for signs in fitting[:2]) + ", whichever is meant"
        return Cause(f"signs {fitting[:2]}", what, fix)
    return Cause(f"signs {fitting[0]}", what, _set_signs(values, *fitting[0]))


def _signs_of(feed: Feed) -> tuple[str, str]:
    return feed.decimal, feed.thousands


def _is_number(values: _Values, text: str, signs: tuple[str, str]) -> bool:
    plain, kind = exact.plain_number(text, *signs), values.column.type
    typed = exact.cast(f"({plain})", "VARCHAR", kind)
    return values.all(exact.is_kept(f"({plain})", typed, "VARCHAR", kind))


def _set_signs(values: _Values, decimal: str, thousands: str) -> str:
    if values.feed.format == "csv":
        wanted = {"decimal": decimal, "thousands": thousands}
        lines = [f"{{property: {name}, value: {json.dumps(sign)}}}" for name, sign in wanted.items() if sign]
        lines = lines[1:] if decimal == "." else lines
        return f"write `customProperties: [{', '.join(lines)}]` at server {values.feed.name}"
    expression = f"replace({values.name}, {literal(thousands)}, '')" if thousands else values.name
    return values.fix(f"replace({expression}, ',', '.')" if decimal == "," else expression)


def _beside(values: _Values) -> Cause | None:
    """Return the cause of numbers that all have one currency or unit beside them."""
    parts = (f"trim(regexp_extract(text, {literal(_BESIDE)}, {at}))" for at in (1, 2))
    found = values.engine.values(f"SELECT DISTINCT {' || '.join(parts)} FROM {Batch.TEXTS} LIMIT 2")
    mark = found[0] if len(found) == 1 else ""
    if not mark:
        return None
    rest, what = "replace({}, " + f"{literal(mark)}, '')", f"every value has {mark} beside the number"
    for without in (rest, f"trim({rest})"):
        fix = values.fix(without.format(values.name))
        if _is_number(values, without.format("text"), _signs_of(values.feed)):
            return Cause(f"beside {mark}", what, fix)
        if values.feed.format == "csv" and (signs := _signs(values, without.format("text"))):
            return Cause(f"beside {mark} {signs.kind}", f"{what}, and {signs.what}", f"{fix}, and {signs.fix}")
    return None


def _fraction(values: _Values) -> Cause | None:
    """Return the cause of numbers with more digits than the column's type has."""
    if not values.all("text IS NOT NULL AND regexp_full_match(text, '[+-]?[0-9]+(\\.[0-9]+)?')"):
        return None
    digits = "length(regexp_extract(text, '^[+-]?([0-9]+)', 1))"
    scale = "length(regexp_extract(text, '\\.([0-9]+)$', 1))"
    before, after = values.engine.one(f"SELECT max({digits}), max({scale}) FROM {Batch.TEXTS}")
    if before + after > 38 or values.column.type in exact.FLOATS:
        return None
    if values.column.type in exact.INTEGERS and not after:
        kind, what = ("bigint" if before < 19 else f"decimal({before},0)"), f"the numbers have up to {before} digits"
    else:
        kind = f"decimal({max(18, before + after)},{after})"
        what = f"the numbers have up to {before} digits before the point and {after} behind it"
    fix = f'write `logicalType: number, physicalType: "{kind}"` at {values.column.name}'
    fix = fix.replace("number", "integer", 1) if kind == "bigint" else fix
    return Cause(f"digits {kind}", what, fix)


def _truth(values: _Values) -> Cause | None:
    found = [text.lower() for text in values.few()]
    pair = next(((yes, no) for yes, no in _TRUTHS.items() if found and set(found) <= {yes, no}), None)
    if pair is None:
        return None
    yes, no = pair
    cases = f"WHEN {literal(yes)} THEN true" + (f" WHEN {literal(no)} THEN false" if no else " ELSE false")
    what = f"the values are {', '.join(values.few())}"
    return Cause(f"truth {pair}", what, values.fix(f"CASE lower({values.name}) {cases} END"))


def _null_words(values: _Values) -> Cause | None:
    """Return the cause of a few words that stand where nothing is known."""
    found = values.few()
    if not found or any(re.search("[0-9]", text) for text in found):
        return None
    listed = f"[{', '.join(json.dumps(text, ensure_ascii=False) for text in found)}]"
    fix = f"if they mean that nothing is known, write `{{property: nullValues, value: {listed}}}` "
    return Cause(f"nulls {listed}", f"the values are {', '.join(found)}", fix + _options_of(values.feed))
