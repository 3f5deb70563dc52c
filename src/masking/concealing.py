"""Messages about tables with masked columns: what they quote is left out, before it is recorded, logged or sent.

Records, logs and alerts are read by people who are not known, so they hold no such value in the first place. What a
message is about stays: the rule, the column, how many rows, where and what to do.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from src.checks.audits import AuditError, AuditResult
from src.checks.comparison import Change, Differences
from src.checks.outcome import Outcome
from src.errors import BoathouseError
from src.masking.masks import SHOWN, TableMasks

_QUOTE = re.compile(r"(?<!\w)['\"]|['\"](?!\w)")  # one that opens or closes, none within a word
_EXAMPLE = re.compile(r"(such as|for example|cannot read) .*")
_REASON = re.compile(r"(rows? (?:was|were) rejected)(?:, [^:\n]*)?: (?!let through by).*")
E = TypeVar("E", bound=BoathouseError)
D = TypeVar("D", bound=Differences)
_DIGITS = re.compile(r"\d{5,}")


def concealed_text(text: str) -> str:
    """Return a message without what it quotes: all between its first and last mark, examples, long numbers."""
    text = _EXAMPLE.sub(rf"\1 {SHOWN}", text)
    text = _REASON.sub(rf"\1: {SHOWN}", text)
    marks = [match.start() for match in _QUOTE.finditer(text)]
    if marks:
        end = marks[-1] + 1 if len(marks) > 1 else len(text)
        text = text[: marks[0]] + SHOWN + text[end:]
    return _DIGITS.sub(lambda match: "#" * len(match[0]), text)


def concealed_audits(audits: Iterable[AuditResult], masks: TableMasks) -> tuple[AuditResult, ...]:
    """Return results of audits whose samples are without the values of masked columns."""
    return tuple(replace(audit, samples=concealed_samples(audit.samples, masks)) for audit in audits)


def concealed_rows(rows: Iterable[Mapping[str, Any]], masks: TableMasks) -> tuple[dict[str, Any], ...]:
    """Return rows without the values of masked columns."""
    return tuple({name: _concealed(name, value, masks) for name, value in row.items()} for row in rows)


def concealed_differences(found: D, masks: TableMasks) -> D:
    """Return differences whose examples are without the values of masked columns."""
    return replace(
        found,
        added_rows=concealed_rows(found.added_rows, masks),
        removed_rows=concealed_rows(found.removed_rows, masks),
        changes=tuple(_concealed_change(one, masks) for one in found.changes),
    )


def _concealed_change(one: Change, masks: TableMasks) -> Change:
    key = {name: _concealed(name, value, masks) for name, value in one.key.items()}
    before, after = (_concealed(one.column, value, masks) for value in (one.before, one.after))
    return replace(one, key=key, before=before, after=after)


def _concealed(name: str, value: Any, masks: TableMasks) -> Any:
    return SHOWN if value is not None and masks.of_column(name) else value


def concealed_samples(samples: str | None, masks: TableMasks) -> str | None:
    """Return rows as JSON text without the values of masked columns."""
    if samples is None:
        return None
    try:
        rows = json.loads(samples)
        shown = [{name: SHOWN if masks.of_column(name) else value for name, value in row.items()} for row in rows]
    except (ValueError, AttributeError, TypeError):
        return SHOWN
    return json.dumps(shown, ensure_ascii=False)


def concealed_error(error: Exception, masks: TableMasks) -> Exception:
    """Return an error that quotes no value of a table with masked columns.

    An error of ours may say itself what is left of it, as `bare`; one that is a bug has its class and its traceback.
    """
    if isinstance(error, AuditError):
        made = _with_text(error, "", error.fix)
        made.audits = concealed_audits(error.audits, masks)
        made.what = AuditError.text(made.audits)
        made.args = (made.what,)
        return made
    if isinstance(error, BoathouseError):
        bare, bare_fix = getattr(error, "bare", ("", ""))
        fix = concealed_text(error.fix) if error.fix else None
        return _with_text(error, bare or concealed_text(error.what), bare_fix or fix)
    kind = type(error).__name__
    hidden = RuntimeError(f"{kind}, whose text is left out: it may quote values of masked columns")
    return hidden.with_traceback(error.__traceback__)


def _with_text(error: E, what: str, fix: str | None) -> E:
    made = copy.copy(error)
    made.what, made.fix, made.args = what, fix, (what,)
    made.__cause__ = made.__context__ = None
    return made


@contextmanager
def concealing(masks: TableMasks | None) -> Iterator[None]:
    """Raise the errors of a with-block without the values that they quote; None: as they are."""
    try:
        yield
    except Exception as error:
        if masks is None:
            raise
        raise concealed_error(error, masks) from None


def concealed_outcome(outcome: Outcome, masks: TableMasks) -> Outcome:
    """Return an outcome whose notes, audits and refusals quote no value of a table with masked columns."""
    return replace(
        outcome,
        notes=tuple(map(concealed_text, outcome.notes)),
        conflict_notes=tuple(map(concealed_text, outcome.conflict_notes)),
        audits=concealed_audits(outcome.audits, masks),
        refusals=tuple(
            refusal for one in outcome.refusals if isinstance(refusal := concealed_error(one, masks), BoathouseError)
        ),
    )
