"""Which slices are asked for, as an SQL condition over what is known of them before anybody is asked.

Of every slice that is its name, its account and its day; of one whose account comes from a seed also what the account's
rows there say, as text. An account with several rows is one whose slices fit where any of them does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError, DataError, UsageError
from src.landing.connector import Account, Slice

_OWN = {"slice": "VARCHAR", "account": "VARCHAR", "day": "DATE"}
_NUMBER = "_number"  # of the slice, among those that are judged


@dataclass(frozen=True)
class Condition:
    """An SQL condition over slices, as a person types it."""

    engine: DuckEngine
    text: str

    def check(self, feed_id: str, accounts: Sequence[Account]) -> None:
        """Judge the condition for a feed that is asked by these accounts.

        Raises:
            UsageError: it is no condition, not the same at each call, or reads what is not known of the feed's slices.
        """
        try:
            self.engine.parse(f"SELECT {self.text}\n")  # with the next line: it is one expression and nothing else
            instead = self.engine.unrepeatable(f"SELECT 1 WHERE ({self.text}\n)")
        except ContractError as error:
            raise self._refusal(error.what, "write a condition, such as: account = 'act_101'") from error
        for name, fix in instead.items():
            raise self._refusal(f"{name} is not a function of the slice", fix)
        relation = self._relation([Slice("")], accounts)
        known = ", ".join((*_OWN, *_labels(accounts)))
        try:
            [kind] = self.engine.columns(f"SELECT ({self.text}\n) FROM {relation}").values()
        except ContractError as error:
            raise self._refusal(f"{feed_id}: {error.what}", f"of its slices are known: {known}") from error
        if kind != "BOOLEAN":
            raise self._refusal(f"a value of type {kind.lower()}", "write a condition, such as: account = 'act_101'")

    def fitting(self, slices: Sequence[Slice], accounts: Sequence[Account]) -> list[Slice]:
        """Return the slices that fit, in their order; `check` said that the condition is one for them.

        Raises:
            UsageError: a value cannot be read as the condition asks for.
        """
        if not slices:
            return []
        relation = self._relation(slices, accounts)
        try:
            fits = set(self.engine.values(f"SELECT {_NUMBER} FROM {relation} WHERE ({self.text}\n)"))
        except DataError as error:
            raise self._refusal(
                error.what, "write a condition that every value has an answer to: try_cast(...)"
            ) from error
        return [part for number, part in enumerate(slices) if number in fits]

    def _relation(self, slices: Sequence[Slice], accounts: Sequence[Account]) -> str:
        """Return the SQL of a relation with a row for each slice and each row of its account."""
        rows_of = {account.name: account.labels for account in accounts}
        labels = _labels(accounts)
        values = [
            (number, part.name, part.account or None, part.day, *(row.get(name) for name in labels))
            for number, part in enumerate(slices)
            for row in rows_of.get(part.account) or ({},)
        ]
        columns = {_NUMBER: "BIGINT", **_OWN, **dict.fromkeys(labels, "VARCHAR")}
        casts = ", ".join(f"{identifier(name)}::{kind} AS {identifier(name)}" for name, kind in columns.items())
        rows = ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in values)
        return f"(SELECT {casts} FROM (VALUES {rows}) v({', '.join(map(identifier, columns))}))"

    def _refusal(self, what: str, fix: str) -> UsageError:
        return UsageError(what, where=f"the condition {self.text}", fix=fix)


def _labels(accounts: Sequence[Account]) -> list[str]:
    """Return the columns of the accounts' rows; one of a name that a slice has itself is not among them."""
    found = {name.lower(): name for account in accounts for row in account.labels for name in row}
    return [name for key, name in found.items() if key not in (*_OWN, _NUMBER)]
