"""The narrowest type that every value of a field fits without loss.

Candidates come from some of the values (`shapes`), then all values are tried in one pass over the rows, by the very
checks that silver makes of them. A value that does not fit is a counterexample: it joins the examples, and the field is
judged again, until every value of every field has its say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from src.contract import TIMESTAMP
from src.draft import nearly, shapes
from src.draft.fields import Field, Rows, values
from src.draft.names import is_date, is_id, is_version
from src.draft.shapes import PLAIN, Form, Signs
from src.engine import literal
from src.silver import exact

_ROUNDS = 12
_AT_ONCE = 60  # fields in one statement
_LEAST, _FRACTION = 2, 6  # digits of a fraction that are kept exactly; more than 6 are those of measured numbers
_PRECISION, _WIDE = 18, 38
_BIGINT = 18  # digits that surely fit
_MANY = 20  # rows from which a habit of the values is believed
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"


@dataclass(frozen=True)
class Guess:
    """A type that a field may have: text, boolean, number or moment, with all that is needed to try it."""

    kind: str
    null_words: tuple[str, ...] = ()  # that stand for no value
    truth: tuple[str, ...] = ()
    forms: tuple[Form, ...] = ()
    affix: str = ""  # a currency sign beside each number


@dataclass(frozen=True)
class Verdict:
    """The type of a field, how it is read, and what a person should know."""

    logical: str
    physical: str | None = None
    around: str = "{}"  # SQL around the field
    null_words: tuple[str, ...] = ()  # that stand for no value
    note: str = ""

    def expression(self, one: Field) -> str | None:
        """Return the column's transformLogic; None where it is the file's column, as it is and by its own name."""
        source = one.expression
        for word in self.null_words:
            source = f"nullif({source}, {literal(word)})"
        whole = self.around.replace("{}", source, 1)
        return None if one.is_column and whole == one.expression and one.source.lower() == one.name else whole


TEXT = Guess("text")


def judge(rows: Rows, fields: Sequence[Field], delimiter: str | None) -> tuple[Signs, list[Verdict]]:
    """Return how the numbers are written, and the verdict on each field.

    `delimiter` is that of CSV files, None of other formats, which have one way to write numbers.
    """
    facts: dict[int, Mapping[str, Any]] = {}
    tried: dict[int, tuple[Guess, Signs]] = {}
    ruled_out: dict[int, set[object]] = {}  # what looked like it and is not: 30.02.2024
    signs, undecided = PLAIN, frozenset[int]()
    for turn in range(_ROUNDS + 1):
        signs, undecided = _signs(fields, delimiter)
        guesses = [
            TEXT if at in undecided else _guess(one, signs, ruled_out.get(at, set())) for at, one in enumerate(fields)
        ]
        new = [
            at
            for at, guess in enumerate(guesses)
            if tried.get(at) != (guess, signs if guess.kind == "number" else PLAIN)
        ]
        if not new:
            break
        if turn == _ROUNDS:
            for at in new:
                guesses[at] = TEXT
        found = _try(rows, fields, [(at, guesses[at]) for at in new], signs)
        facts |= found
        for at in new:
            tried[at] = guesses[at], signs if guesses[at].kind == "number" else PLAIN
            ruled_out.setdefault(at, set()).update(_refuted(guesses[at], found[at]))
            for value in found[at]["against"]:
                fields[at].examples[value] = None
    verdicts = [
        _verdict(one, guesses[at], facts[at], signs, is_undecided=at in undecided) for at, one in enumerate(fields)
    ]
    for at, verdict in enumerate(verdicts):
        if verdict.logical == "string" and not verdict.note:
            verdicts[at] = replace(verdict, note=nearly.why_text(rows, fields[at], signs))
    return signs, verdicts


# -- candidates, from the examples


def _guess(one: Field, signs: Signs, ruled_out: Collection[object]) -> Guess:
    guess = _first_guess(one, signs)
    if guess.kind == "moment":
        forms = tuple(form for form in guess.forms if form not in ruled_out)
        return replace(guess, forms=forms) if forms else TEXT
    return TEXT if guess in ruled_out else guess


def _first_guess(one: Field, signs: Signs) -> Guess:
    examples = list(one.examples)
    null_words = tuple(value for value in examples if value.lower() in shapes.NULL_WORDS)
    rest = [value for value in examples if value.lower() not in shapes.NULL_WORDS]
    if not rest:
        return TEXT
    low = {value.lower() for value in rest}
    for pair in shapes.TRUTH:
        if low <= set(pair) and (len(low) == 2 or pair[0] == "true"):
            return Guess("boolean", null_words, pair)
    forms = shapes.in_common(rest)
    if forms and forms[0].format == "%Y%m%d" and not is_date(one.name):
        forms = []
    if forms:
        return Guess("moment", null_words, forms=tuple(forms))
    if all(signs in shapes.signs_of(value) for value in rest):
        return TEXT if _names(one, rest) else Guess("number", null_words)
    affixes = {shapes.affix_of(value) for value in rest}
    affix = affixes.pop() if len(affixes) == 1 else None
    if affix and all(signs in shapes.signs_of(value.replace(affix, "").strip()) for value in rest):
        return Guess("number", null_words, affix=affix)
    return TEXT


def _names(one: Field, numbers: Collection[str]) -> bool:
    """Return whether numbers are names: zeros before them, a plus before a telephone number, versions."""
    return bool(_why_name(one, numbers))


def _why_name(one: Field, numbers: Collection[str]) -> str:
    for value in numbers:
        digits = value.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
            return f"a zero in front ({value}) would be lost"
    plus = [value for value in numbers if value.startswith("+")]
    if plus and not any(value.startswith("-") for value in numbers):
        return f"a plus in front ({plus[0]}) would be lost"
    if is_version(one.name) and any("." in value for value in numbers):
        return "versions: 1.10 is not 1.1"
    return ""


def _signs(fields: Sequence[Field], delimiter: str | None) -> tuple[Signs, frozenset[int]]:
    """Return the way in which the most fields are numbers, and the fields that are other numbers in another way."""
    if delimiter is None:
        return PLAIN, frozenset()
    votes: Counter[Signs] = Counter()
    fits: dict[int, frozenset[Signs]] = {}
    for at, one in enumerate(fields):
        numbers = [value for value in one.examples if value.lower() not in shapes.NULL_WORDS]
        affixes = {shapes.affix_of(value) for value in numbers}
        if len(affixes) == 1 and (affix := affixes.pop()):
            numbers = [value.replace(affix, "").strip() for value in numbers]
        if not numbers or all(value.lstrip("+-").isdigit() for value in numbers):
            continue
        common = frozenset(shapes.SIGNS).intersection(*map(shapes.signs_of, numbers))
        if common and not shapes.in_common(numbers):
            fits[at] = common
            votes.update(common)
    if not votes:
        return PLAIN, frozenset()
    best = max(votes.values())
    winners = [signs for signs in shapes.SIGNS if votes[signs] == best]
    chosen = winners[0]
    if delimiter == "," or len({signs.decimal for signs in winners}) == 1:
        return chosen, frozenset()
    # 1.234 alone: a number with thousands, or one with three digits behind the point
    unclear = {at for at, common in fits.items() if len({s.decimal for s in winners if s in common}) > 1}
    grouped = {at for at in unclear if all(map(shapes.is_grouped, _only_marked(fields[at])))}
    return chosen if not grouped else PLAIN, frozenset(grouped)


def _only_marked(one: Field) -> list[str]:
    return [value for value in one.examples if "." in value or "," in value]


# -- all values, by silver's checks


def _try(
    rows: Rows, fields: Sequence[Field], guesses: Sequence[tuple[int, Guess]], signs: Signs
) -> dict[int, dict[str, Any]]:
    """Return, of each field that is tried, what was found in all rows, and values that speak against the guess."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(guesses), _AT_ONCE):
        part = guesses[start : start + _AT_ONCE]
        inner = values([fields[at] for at, _ in part], rows)
        names: list[tuple[int, str]] = []
        read: list[str] = []
        asked: list[str] = []
        for nth, (at, guess) in enumerate(part):
            text, held = _text(f"v{nth}", guess, signs)
            read += [f"{text} AS t{nth}", f"v{nth} AS v{nth}", f"{held} AS h{nth}"]
            for name, sql in _questions(nth, guess).items():
                names.append((at, name))
                asked.append(sql)
        row = rows.engine.one(f"SELECT {', '.join(asked)} FROM (SELECT {', '.join(read)} FROM {inner})")
        for (at, name), value in zip(names, row, strict=True):
            found.setdefault(at, {})[name] = value
        for at, guess in part:
            found[at]["against"] = _against(found[at], guess)
    return found


def _text(value: str, guess: Guess, signs: Signs) -> tuple[str, str]:
    """Return SQL of a value as it is read, NULL for a word that stands for none, and whether a value is there."""
    text = f"CASE WHEN {value} NOT IN {_list(guess.null_words)} THEN {value} END" if guess.null_words else value
    held = f"({text}) IS NOT NULL"
    if guess.kind == "number":
        if guess.affix:
            bare = f"trim(replace({text}, {literal(guess.affix)}, ''))"
            text = f"CASE WHEN contains({text}, {literal(guess.affix)}) THEN {bare} END"
        if signs != PLAIN:
            text = exact.plain_number(f"({text})", *signs)
    return text, held


def _list(texts: Sequence[str]) -> str:
    return f"({', '.join(map(literal, texts))})"


def _questions(nth: int, guess: Guess) -> dict[str, str]:
    """Return the aggregates that tell whether a guess holds, by name."""
    text, value, held = f"t{nth}", f"v{nth}", f"h{nth}"
    asked = {"rows": "count(*)", "n": f"count(*) FILTER ({held})"}
    if guess.kind == "boolean":
        asked |= _counted("fit", f"lower({text}) IN {_list(guess.truth)}", value, held)
    if guess.kind == "moment":
        for at, form in enumerate(guess.forms):
            asked |= _counted(f"fit{at}", _is_moment(text, form), value, held)
        asked["midnights"] = f"count(*) FILTER ({held} AND regexp_matches({text}, '[ T]00:00'))"
    if guess.kind == "number":
        asked |= _counted("fit", f"regexp_full_match({text}, '{_NUMBER}')", value, held)
        whole = rf"regexp_extract({text}, '^[+-]?0*([0-9]*)', 1)"
        fraction = rf"regexp_extract({text}, '\.([0-9]*)', 1)"
        asked |= {
            "digits": f"max(strlen({whole}))",
            "scale": f"max(strlen({fraction}))",
            "needed": f"max(strlen(rtrim({fraction}, '0')))",
            "points": f"count(*) FILTER (contains({text}, '.'))",
            "exponents": f"count(*) FILTER (contains(lower({text}), 'e'))",
            "thousands": f"count(*) FILTER (suffix({text}, '.000'))",
            "doubles": f"count(*) FILTER ({exact.is_kept(text, f'TRY_CAST({text} AS DOUBLE)', 'VARCHAR', 'DOUBLE')})",
            "zeros": f"min({value}) FILTER (regexp_matches({text}, '^[+-]?0[0-9]'))",
            "plus": f"min({value}) FILTER (prefix({text}, '+'))",
            "minus": f"count(*) FILTER (prefix({text}, '-'))",
        }
    return asked


def _counted(name: str, fits: str, value: str, held: str) -> dict[str, str]:
    """Return how many values fit, and two that do not."""
    bad = f"{held} AND NOT coalesce({fits}, false)"
    short = f"left({value}, 200)"
    return {
        name: f"count(*) FILTER ({held} AND coalesce({fits}, false))",
        f"{name}_low": f"min({short}) FILTER ({bad})",
        f"{name}_high": f"max({short}) FILTER ({bad})",
        f"{name}_any": f"any_value({short}) FILTER ({bad})",
    }


def _is_moment(text: str, form: Form) -> str:
    """Return SQL that is true where silver reads a value in this form."""
    if form.is_own:
        kind = {shapes.DATE: "DATE", shapes.TIME: "TIME"}.get(form.format, TIMESTAMP)
        return exact.is_kept(text, exact.cast(text, "VARCHAR", kind), "VARCHAR", kind)
    shape = f"regexp_full_match({text}, {literal(form.pattern)})"
    return f"{shape} AND try_strptime({text}, {literal(form.format)}) IS NOT NULL"


def _refuted(guess: Guess, found: Mapping[str, Any]) -> list[object]:
    """Return the forms of a guess, or the guess, that not every value has."""
    if guess.kind == "moment":
        return [form for at, form in enumerate(guess.forms) if found[f"fit{at}"] < found["n"]]
    return [guess] if found.get("fit", found["n"]) < found["n"] else []


def _against(found: Mapping[str, Any], guess: Guess) -> list[str]:
    against = [value for name, value in found.items() if name.endswith(("_low", "_high", "_any")) and value is not None]
    if guess.kind == "number" and found["fit"] == found["n"]:
        against += [value for value in (found["zeros"], found["plus"]) if value]
    return against


# -- the verdict


def _verdict(one: Field, guess: Guess, facts: Mapping[str, Any], signs: Signs, *, is_undecided: bool) -> Verdict:
    if is_undecided:
        return Verdict("string", note=_two_numbers(next(iter(_only_marked(one)))))
    if guess.kind == "boolean":
        return Verdict("boolean", null_words=guess.null_words)
    if guess.kind == "moment":
        return _moment(one, guess, facts)
    if guess.kind == "number":
        return _number(one, guess, facts)
    numbers = [value for value in one.examples if value.lower() not in shapes.NULL_WORDS]
    why = _why_name(one, numbers) if numbers and all(map(shapes.signs_of, numbers)) else ""
    return Verdict("string", note=one.note or (f"text: {why}" if why else ""))


def _two_numbers(example: str) -> str:
    number, fraction = example.replace(".", "").replace(",", ""), example.replace(",", ".")
    return f"text: {example} is {number} or {fraction}; say which with `thousands` or `decimal` at the server"


def _moment(one: Field, guess: Guess, facts: Mapping[str, Any]) -> Verdict:
    alive = guess.forms
    if len({form.order for form in alive}) > 1:
        names = " or ".join(form.format for form in alive[:3])
        example = next(value for value in one.examples if value.lower() not in shapes.NULL_WORDS)
        say = f"strptime({one.expression}, {literal(alive[0].format)})"
        return Verdict("string", note=f"text: dates, but {example} may be {names}; say which: `transformLogic: {say}`")
    form = alive[0]
    if form.format == shapes.DATE and facts["midnights"] == facts["n"] and facts["n"] < _MANY:
        form = next(other for other in alive if other.format == shapes.TIMESTAMP)
    logical = shapes.TIME if form.format == shapes.TIME else "timestamp" if form.has_time else "date"
    if form.is_own:
        note = "always midnight" if logical == "date" and facts["midnights"] else ""
        return Verdict(logical, null_words=guess.null_words, note=note)
    note = "years 69 to 99 are 19.., others 20.." if "%y" in form.format else ""
    return Verdict(logical, around=f"strptime({{}}, {literal(form.format)})", null_words=guess.null_words, note=note)


def _number(one: Field, guess: Guess, facts: Mapping[str, Any]) -> Verdict:
    around = f"trim(replace({{}}, {literal(guess.affix)}, ''))" if guess.affix else "{}"
    sign = f"without the sign {guess.affix}" if guess.affix else ""

    def of(logical: str, physical: str | None = None, why: str = "") -> Verdict:
        return Verdict(logical, physical, around, guess.null_words, "; ".join(filter(None, (sign, why))))

    digits, scale, needed = facts["digits"] or 0, facts["scale"] or 0, facts["needed"] or 0
    is_double = facts["doubles"] == facts["n"]
    if needed and is_id(one.name):
        return Verdict("string", note="text: numbers that name things")
    if facts["exponents"]:
        return of("number") if is_double else Verdict("string", note="text: more digits than a double has")
    if needed == 0 and not facts["points"]:
        if digits <= _BIGINT:
            return of("integer")
        return Verdict("string", note=f"text: {digits} digits, more than an integer has")
    if needed == 0 and not facts["thousands"] and digits <= _BIGINT and is_id(one.name):
        return of("integer", why="whole numbers, written as 1.0")  # as pandas does where some are missing
    if needed > _FRACTION and is_double:
        return of("number")
    fraction = max(_LEAST, scale) if scale <= _FRACTION else needed
    precision = _PRECISION if digits + fraction <= _PRECISION - 2 else _WIDE
    if digits + fraction <= precision:
        return of("number", f"decimal({precision},{fraction})")
    return Verdict("string", note=f"text: {digits + fraction} digits")
