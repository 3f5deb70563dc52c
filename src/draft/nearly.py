"""Text that is nearly something else: dates in several forms, numbers but for some words. It is shown, not guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from src.draft import shapes
from src.draft.fields import Field, Rows, values
from src.draft.shapes import Form, Signs
from src.engine import literal

_SHARE = 0.5  # of the examples, from which a text field is nearly something else
_FORMS = 4
_WORDS = 3  # that are shown
_FEW = 6  # other values, up to which what reads the rest is worth saying


def why_text(rows: Rows, one: Field, signs: Signs) -> str:
    """Return why a field is text though most of its values are dates or numbers; '' where they are not."""
    examples = [value for value in one.examples if value.lower() not in shapes.NULL_WORDS]
    if len(examples) < 2:
        return ""
    dates = [value for value in examples if shapes.forms_of(value)]
    numbers = [value for value in examples if signs in shapes.signs_of(value)]
    if len(dates) > _SHARE * len(examples) and len(dates) >= len(numbers):
        return _dates(rows, one, dates)
    if len(numbers) > _SHARE * len(examples) and len(numbers) < len(examples):
        return _numbers(rows, one, signs)
    return ""


def _dates(rows: Rows, one: Field, dates: Sequence[str]) -> str:
    forms = _covering(dates)
    tests = [f"regexp_full_match(v0, {literal(form.pattern)})" for form in forms]
    case = " ".join(f"WHEN {test} THEN {at}" for at, test in enumerate(tests))
    counts, others = _sorted_out(rows, one, f"CASE {case} END")
    shown = [_form(form, dates) for form in forms]
    found = ", ".join(f"{count:,} as {shown[at]}" for at, count in sorted(counts.items(), key=lambda item: -item[1]))
    what = f"text: dates, {found}{_but(others)}"
    formats = [form.format for form in forms if not form.is_own]
    clear = all(
        len({other.order for other in shapes.in_common([d for d in dates if form in shapes.forms_of(d)])}) == 1
        for form in forms
    )
    if len(others) > _FEW or len(formats) < len(forms) or not clear:
        return what
    source = one.expression
    for word, _ in others:
        source = f"nullif({source}, {literal(word)})"
    return f"{what}; `strptime({source}, {literal(formats if len(formats) > 1 else formats[0])})` would read the dates"


def _covering(dates: Sequence[str]) -> list[Form]:
    """Return the few forms that most of the dates have."""
    left, forms = list(dates), list[Form]()
    while left and len(forms) < _FORMS:
        counted = Counter(form for value in left for form in shapes.forms_of(value))
        best = max(counted.values())
        form = next(form for form in shapes.FORMS if counted[form] == best)
        forms.append(form)
        left = [value for value in left if form not in shapes.forms_of(value)]
    return forms


def _form(form: Form, dates: Sequence[str]) -> str:
    example = next((value for value in dates if form in shapes.forms_of(value)), "")
    return f"{form.format} ({example})"


def _numbers(rows: Rows, one: Field, signs: Signs) -> str:
    pattern = shapes.number_pattern(signs)
    counts, others = _sorted_out(rows, one, f"CASE WHEN regexp_full_match(v0, {literal(pattern)}) THEN 0 END")
    return f"text: numbers in {counts.get(0, 0):,} rows{_but(others)}"


def _sorted_out(rows: Rows, one: Field, which: str) -> tuple[dict[int, int], list[tuple[str, int]]]:
    """Return how many rows each case has, and the values of none with how often they occur, the most frequent first."""
    inner = values([one], rows)
    kinds = f"SELECT {which} AS kind, left(v0, 60) AS text FROM {inner} WHERE v0 IS NOT NULL"
    counted = rows.engine.rows(f"SELECT kind, count(*) FROM ({kinds}) WHERE kind IS NOT NULL GROUP BY 1")
    others = rows.engine.rows(
        f"SELECT text, count(*) FROM ({kinds}) WHERE kind IS NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_FEW + 1}"
    )
    return {int(kind): int(count) for kind, count in counted}, [(str(text), int(count)) for text, count in others]


def _but(others: Sequence[tuple[str, int]]) -> str:
    if not others:
        return ""
    shown = ", ".join(f"{text!r} ({count:,})" for text, count in others[:_WORDS])
    return f", but {shown}{' and others' if len(others) > _WORDS else ''}"
