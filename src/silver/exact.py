"""A value is read only where it surely is that value: no digit is lost, no part of a date is guessed.

Each function returns SQL for one value: `text`, what is written, and `typed`, what the engine made of it. The engine
alone is too generous: it rounds 1.005 to 1.01, reads 1_000 and 4/5/31, and makes 0 of 1e-400. Most values
are written as the engine writes them; to see that is cheap, so that what costs stands behind it.
"""

from __future__ import annotations

from src.contract import TIMESTAMP, Column
from src.engine import literal

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
FLOATS = {  # how many digits any number keeps; from where on it keeps them (nearer to zero there are fewer)
    "FLOAT": (6, "1e-37"),
    "DOUBLE": (15, "1e-307"),
}
_POINTED = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_NUMBER = rf"{_POINTED}([eE][+-]?[0-9]+)?"
_WHOLE = r"[+-]?[0-9]+(\.0*)?"
_MAYBE_THOUSANDS = ".000"  # at its end, a whole number may be thousands that a point sets apart
_DAY = r"[0-9]{4}[-/ \\][0-9]{1,2}[-/ \\][0-9]{1,2}"
_MIDNIGHT = r"[ T]00:00(:00(\.0*)?)?(Z|\+00(:?00)?)?"
_HOUR = "([01]?[0-9]|2[0-3])"  # 24:00 belongs to two days
_ZONE = r"( ?(Z|UTC|GMT)|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?)"  # of other names, CST say, there is more than one
_TIME = rf"{_HOUR}:[0-9]{{1,2}}(:[0-9]{{1,2}}(\.[0-9]{{0,6}}0*)?)?"
_MOMENT = rf"{_DAY}([ T]{_TIME}{_ZONE}?)?"
_FINER_TIME, _FINER_MOMENT = (form.replace("{0,6}0*", "*") for form in (_TIME, _MOMENT))
_USUAL_MOMENT = "____-__-__ __:__:__"
_STORABLE = {  # the years that tables, and whoever reads them, can hold
    "DATE": "BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'",
    TIMESTAMP: "BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'",
}


def is_number(kind: str) -> bool:
    """Return whether a type is one of numbers."""
    return kind in INTEGERS or kind in FLOATS or kind.startswith("DECIMAL")


def plain_number(text: str, decimal: str, thousands: str) -> str:
    """Return SQL of a number's text as it is usually written, with a point and nothing between thousands.

    NULL where it is not written as the feed says: thousands are groups of three, or not set apart at all.
    """
    between = "[ \u00a0\u202f]" if thousands == " " else f"[{thousands or ' '}]"
    joined = f"regexp_replace({text}, {literal(between)}, '', 'g')"
    grouped = literal(f"[+-]?[0-9]{{1,3}}({between}[0-9]{{3}})+([{decimal}][0-9]*)?")
    foreign = literal(f"[^{decimal}0-9eE+-]")
    return (
        f"CASE WHEN regexp_full_match({text}, {grouped}) AND {literal(bool(thousands))} "
        f"THEN replace({joined}, '{decimal}', '.') "
        f"WHEN NOT regexp_matches({text}, {foreign}) THEN replace({text}, '{decimal}', '.') END"
    )


def cast(value: str, kind: str, target: str) -> str:
    """Return SQL of a value of type `kind` as `target`; NULL where the engine cannot read it as that."""
    if target != TIMESTAMP:
        return f"TRY_CAST({value} AS {target})"
    if kind == "TIMESTAMP":
        return _in_utc(value)
    if kind != "VARCHAR":
        return f"TRY_CAST({value} AS {target})"
    # a fifth of the time; only where no zone is written, as the engine reads this type without looking at it
    plain = f"make_timestamptz(epoch_us(TRY_CAST({value} AS TIMESTAMP)))"  # of this form no text is infinite
    return f"CASE WHEN {value} LIKE '{_USUAL_MOMENT}' THEN {plain} ELSE TRY_CAST({value} AS {target}) END"


def _in_utc(value: str) -> str:
    return f"CASE WHEN isfinite({value}) THEN make_timestamptz(epoch_us({value})) END"


def is_kept(value: str, typed: str, kind: str, target: str) -> str:
    """Return SQL that is true where a value of type `kind`, which is there, became `typed` without loss."""
    if target in _STORABLE and kind != "VARCHAR":
        storable = f"{typed} {_STORABLE[target]}"
        finer = kind.startswith("TIMESTAMP_NS") or (target == "DATE" and kind != target)
        return f"{storable} AND TRY_CAST({typed} AS {kind}) = {value}" if finer else storable
    if target in (kind, "VARCHAR"):
        return "true"
    return _text_is_kept(value, typed, target) if kind == "VARCHAR" else f"TRY_CAST({typed} AS {kind}) = {value}"


def is_surely_kept(value: str, typed: str, kind: str, target: str) -> str:
    """Return SQL that is true of nothing but what `is_kept` is true of: of most values, and it is short."""
    if kind == "VARCHAR" and target in INTEGERS:
        return f"{typed} IS NOT NULL AND {_matches(value, '[+-]?[0-9]+')}"
    if kind == "VARCHAR" and target in FLOATS:
        length, _ = FLOATS[target]  # without an exponent no number is too near to zero for its digits
        return f"isfinite({typed}) AND strlen({value}) <= {length} AND {_matches(value, _POINTED)}"
    if kind == "VARCHAR" and target.startswith("DECIMAL"):
        return f"{typed} IS NOT NULL AND {_matches(value, _with_fraction(_scale(target)))}"
    return is_kept(value, typed, kind, target)


def stored(typed: str, target: str) -> str:
    """Return SQL of a value that was read as `target`, as it is stored: of a time of day its text."""
    return f"{typed}::VARCHAR" if target == "TIME" else typed


def is_json(text: str) -> str:
    """Return SQL that is true for JSON as all its readers take it; the engine lets NaN and a last comma through."""
    bare = f"""regexp_replace({text}, '"(?:[^"\\\\]|\\\\.)*"', '0', 'g')"""  # dear: only where there may be such
    lax = "'(?i)nan|inf|,\\s*[]}]'"
    is_lax = f"CASE WHEN regexp_matches({text}, {lax}) THEN regexp_matches({bare}, {lax}) ELSE false END"
    return f"(json_valid({text}) AND NOT {is_lax})"


def complaint(subject: str, shown: str, text: str, typed: str, kind: str, column: Column) -> str:
    """Return SQL of the reason why the value of `subject` (SQL text) could not be had; `shown` is what there was."""
    shown, as_kind = f"left({shown}, 200)", literal(f" as {column.shown_type}")
    unread = f"{subject} || ': cannot read ' || {shown} || {as_kind}"
    lost, hint = why_not(text, typed, kind, column.read_as)
    rounded = f"{subject} || ': ' || {shown} || {as_kind} || ': a digit would be lost'"
    return f"CASE WHEN {lost} THEN {rounded} ELSE {unread} || coalesce({hint}, '') END"


def why_not(text: str, typed: str, kind: str, target: str) -> tuple[str, str]:
    """Return SQL that is true where a value would lose a digit, and a hint (SQL text, NULL for none) for all others."""
    if kind != "VARCHAR":
        return f"{typed} {_STORABLE.get(target, 'IS NOT NULL')}", "NULL"
    if target in INTEGERS:
        hint = "': it may be thousands, which the contract says with `thousands`'"
        whole = f"{_matches(text, _WHOLE)} AND suffix({text}, '{_MAYBE_THOUSANDS}')"
        return "false", f"CASE WHEN {whole} THEN {hint} END"
    if target in FLOATS:
        return f"{_matches(text, _NUMBER)} AND isfinite({typed})", "NULL"
    if target.startswith("DECIMAL"):
        return f"{_matches(text, _NUMBER)} AND {typed} IS NOT NULL", "NULL"
    if target == "TIME":
        return f"{_matches(text, _FINER_TIME)} AND {typed} IS NOT NULL", "NULL"
    if target == TIMESTAMP:
        return f"{_matches(text, _FINER_MOMENT)} AND {typed} {_STORABLE[target]}", "NULL"
    return "false", "NULL"


def _text_is_kept(text: str, typed: str, target: str) -> str:
    if target in INTEGERS:
        whole = f"{typed} IS NOT NULL AND {_matches(text, _WHOLE)} AND NOT suffix({text}, '{_MAYBE_THOUSANDS}')"
        return f"CASE WHEN {typed}::VARCHAR = {text} THEN true ELSE {whole} END"
    if target in FLOATS:
        return _float_is_kept(text, typed, target)
    if target.startswith("DECIMAL"):
        return _decimal_is_kept(text, typed, target)
    if target == "DATE":
        usual = f"{text} LIKE '____-__-__' AND {_starts_with_digit(text)}"
        other = _matches(text, f"{_DAY}({_MIDNIGHT})?")
        return f"{typed} {_STORABLE[target]} AND CASE WHEN {usual} THEN true ELSE {other} END"
    if target == TIMESTAMP:
        return _moment_is_kept(text, typed)
    if target == "JSON":
        return is_json(text)
    if target == "TIME":
        return f"{typed} IS NOT NULL AND {_matches(text, _TIME)}"
    return f"{typed} IS NOT NULL"


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, '{pattern}')"


def _starts_with_digit(text: str) -> str:
    return f"{text} >= '0' AND {text} < ':'"


def _moment_is_kept(text: str, typed: str) -> str:
    form = _matches(text, _MOMENT)  # most are seen to be right without: what 24:00 becomes is a midnight
    usual = " OR ".join(
        f"strlen({text}) = {len(pattern)} AND {text} LIKE '{pattern}'"
        for pattern in (_USUAL_MOMENT, "____-__-__T__:__:__Z")
    )
    judged = f"CASE WHEN epoch_us({typed}) % 86400000000 <> 0 AND ({usual}) THEN true ELSE {form} END"
    return f"CASE WHEN {typed} {_STORABLE[TIMESTAMP]} AND {_starts_with_digit(text)} THEN {judged} ELSE false END"


def _decimal_is_kept(text: str, typed: str, target: str) -> str:
    """Return SQL that is true where there are only zeros beyond the column's fraction digits."""
    scale = _scale(target)
    plain = _with_fraction(scale)
    mantissa, exponent = _mantissa(text), f"TRY_CAST(regexp_extract({text}, '[eE](.*)$', 1) AS INTEGER)"
    zeros = f"length(regexp_extract(replace({mantissa}, '.', ''), '0*$'))"
    fraction = f"length(split_part({mantissa}, '.', 2)) - {zeros} - {exponent}"
    return (
        f"CASE WHEN {typed}::VARCHAR = {text} THEN true WHEN {_matches(text, plain)} THEN {typed} IS NOT NULL "
        f"WHEN NOT {_matches(text, _NUMBER)} THEN false WHEN {_digits(text)} = '' THEN {typed} = 0 "
        f"ELSE {typed} IS NOT NULL AND {fraction} <= {scale} END"
    )


def _scale(target: str) -> int:
    return int(target[len("DECIMAL(") : -1].split(",")[1])


def _with_fraction(scale: int) -> str:
    """Return the pattern of numbers with only zeros beyond so many fraction digits."""
    return rf"[+-]?([0-9]+(\.[0-9]{{0,{scale}}}0*)?|\.[0-9]{{0,{scale}}}0*)"


def _float_is_kept(text: str, typed: str, target: str) -> str:
    """Return the number, printed with as many digits as the text has, or with as few as tell it apart, is the text.

    So 0.1 is kept, as is 0.10000000000000001, which other programs write for the same number; 12345678901234567890
    is not, as the nearest number is 12345678901234567168.
    """
    length, least = FLOATS[target]
    digits = _digits(text)
    # of a number no more than 767 digits differ from 0
    printed = f"printf('%.' || (least(length({digits}), 800) - 1) || 'e', abs({typed}::DOUBLE))"
    same = f"{digits} IN (replace(split_part({printed}, 'e', 1), '.', ''), {_digits(f'{typed}::VARCHAR')})"
    number = f"isfinite({typed}) AND {_matches(text, _NUMBER)}"
    return (
        f"CASE WHEN strlen({text}) <= {length} AND abs({typed}) > {least} THEN {number} "
        f"WHEN strlen({text}) <= {length} AND NOT contains(lower({text}), 'e') THEN {number} "
        f"WHEN {typed}::VARCHAR = {text} THEN isfinite({typed}) WHEN NOT ({number}) THEN false "
        f"WHEN {digits} = '' THEN {typed} = 0 ELSE {same} END"
    )


def _mantissa(text: str) -> str:
    return f"regexp_extract({text}, '^[+-]?([0-9.]*)', 1)"


def _digits(text: str) -> str:
    """Return a number's digits without the zeros before the first and after the last other one; empty text for zero."""
    return f"trim(replace({_mantissa(text)}, '.', ''), '0')"
