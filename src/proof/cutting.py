"""By what each source can be cut: the expression of the contract, or what the model makes the partition of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from src.proof.expressions import (
    Call,
    Cast,
    Constant,
    Expression,
    NoSql,
    NullExtended,
    SourceColumn,
    column_name,
    origins,
    parts_of,
    rebuilt,
    to_sql,
)
from src.proof.reasoning import Reasoning
from src.proof.relations import Known, Relation
from src.proof.walk import Walk

Cut = tuple[str, ...]  # one SQL expression per partition column
_DEPTH, _COMBINATIONS, _PER_SOURCE, _CHOICES = 8, 40, 4, 200
_NEVER_FAIL = ("date_trunc", "date_part", "coalesce")
_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


def choices(walk: Walk, result: Relation, given: Cut, needed: set[str]) -> Iterator[dict[str, Cut]]:
    """Yield the ways to cut the sources that a walk over the whole sources found, those that cut the most first.

    `given` is what the contract says the partition is made of, and `needed` the columns that this names.
    """
    followed = _followed(walk, result)
    read = sorted({source.id for source in walk.reasoning.occurrences.values() if source.id})
    options: list[list[Cut | None]] = []
    for name in read:
        columns = {column.lower() for column in walk.sources[name].columns}
        mine = [given] if needed and needed <= columns else []
        options.append([*mine, *(cut for cut in followed.get(name, [])[:_PER_SOURCE] if cut not in mine), None])
    combinations = itertools.islice(itertools.product(*options), _CHOICES)
    for chosen in sorted(combinations, key=lambda cuts: sum(cut is None for cut in cuts)):
        cuts = {name: cut for name, cut in zip(read, chosen, strict=True) if cut}
        if cuts:
            yield cuts


def _followed(walk: Walk, result: Relation) -> dict[str, list[Cut]]:
    """Return the partition columns as the model makes them, followed to each source that has all of them."""
    plain = tuple((_unjoined(one), _unjoined(two)) for one, two in walk.equated)
    known = Known(plain)
    per_column = [_per_source(walk, value, known) for value in walk.target(result)]
    shared = set.intersection(*(set(found) for found in per_column))
    return {
        name: list(itertools.islice(itertools.product(*(sorted(found[name]) for found in per_column)), _PER_SOURCE))
        for name in shared
    }


def _per_source(walk: Walk, value: Expression, known: Known) -> dict[str, set[str]]:
    """Return a value as SQL over the columns of each source of which alone it can be made."""
    found: dict[str, set[str]] = {}
    forms = (form for first in _forms(value, walk.reasoning) for form in _forms(first, walk.reasoning))
    for name in {name for form in forms for name in walk.reasoning.names_of(form, known)}:
        made_of = origins(name)
        source = walk.reasoning.occurrences.get(min(made_of)) if len(made_of) == 1 else None
        if source and source.id:
            try:
                found.setdefault(source.id, set()).add(to_sql(name, walk.engine.functions.known, column_name))
            except NoSql:
                continue
    return found


def _forms(value: Expression, reasoning: Reasoning, depth: int = 0) -> set[Expression]:
    """Return the forms of a value: outer joins undone, each arm of a set operation, each argument of coalesce()."""
    if depth > _DEPTH:
        return {value}
    if isinstance(value, NullExtended):
        return _forms(value.inner, reasoning, depth + 1)
    if isinstance(value, SourceColumn) and value in reasoning.arms:
        return {form for arm in reasoning.arms[value] for form in _forms(arm, reasoning, depth + 1)}
    parts = parts_of(value)
    if not parts:
        return {value}
    per_part = [_forms(part, reasoning, depth + 1) for part in parts]
    combinations = itertools.islice(itertools.product(*per_part), _COMBINATIONS)
    found = {reasoning.canonical(rebuilt(value, combination)) for combination in combinations}
    if isinstance(value, Call) and value.name == "coalesce":
        found |= {form for forms in per_part for form in forms}
    return found


def _unjoined(value: Expression) -> Expression:
    if isinstance(value, NullExtended):
        return _unjoined(value.inner)
    return rebuilt(value, tuple(map(_unjoined, parts_of(value))))


def cast_cuts(walk: Walk, cuts: Mapping[str, Cut], kinds: Sequence[str]) -> dict[str, Cut]:
    """Return the cuts cast to the partition columns' types, NULL on a row for which that fails.

    Such a row is in no partition: the model would fail on it, or leaves it out.
    """
    return {
        name: tuple(_cast_cut(walk, name, sql, kind) for sql, kind in zip(cut, kinds, strict=True))
        for name, cut in cuts.items()
    }


def _cast_cut(walk: Walk, source: str, sql: str, kind: str) -> str:
    uncast = walk.over_source(sql, source)
    value = walk.reasoning.canonical(Cast(kind, uncast))
    if isinstance(value, SourceColumn):
        return column_name(value)
    cast = sql if walk.reasoning.type_of(uncast) == kind else f"CAST({sql} AS {kind})"
    return cast if _never_fails(value, walk.reasoning) else f"TRY({cast})"


def _never_fails(value: Expression, reasoning: Reasoning) -> bool:
    if isinstance(value, SourceColumn | Constant):
        return True
    if isinstance(value, Call):
        return value.name in _NEVER_FAIL and all(_never_fails(part, reasoning) for part in value.arguments)
    moment = isinstance(value, Cast) and value.type in _MOMENTS and reasoning.type_of(value.inner) in _MOMENTS
    return moment and isinstance(value, Cast) and _never_fails(value.inner, reasoning)
