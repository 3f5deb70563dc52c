"""A table that is scored by a model: what its contract, the model's and that of the features table say together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from src.contract import Column, Contracts, Table
from src.contract.ml import SCORE_COLUMNS, MlModel
from src.engine import identifier, literal

SCORED_WITH = "scored:version"  # progress of a scored table: the version that was active when it was computed; 0: none
SCORED_BY = "scored:contract"  # and what the model's contract said of the rows


@dataclass(frozen=True)
class Scored:
    """A table of scores, the model that makes them, and the table whose rows are scored."""

    table: Table
    model: MlModel
    features: Table

    @property
    def feature_columns(self) -> tuple[Column, ...]:
        """Return the columns that the model learns from."""
        return tuple(column for column in self.features.columns if column.feature)

    @property
    def described(self) -> dict[str, str]:
        """Return the columns that follow the features table: all but scores and features; with their types."""
        own = {column.name for column in self.feature_columns} | SCORE_COLUMNS.keys()
        return {column.name: column.type for column in self.table.columns if column.name not in own}

    @property
    def explaining(self) -> dict[str, str]:
        """Return the features that the table shows, as the row was scored by them; with their types."""
        features = {column.name for column in self.feature_columns}
        return {column.name: column.type for column in self.table.columns if column.name in features}

    @property
    def key(self) -> str:
        """Return the key's columns as SQL."""
        return ", ".join(map(identifier, self.features.key))

    @property
    def condition(self) -> str:
        """Return the SQL condition that the scored rows of the features table meet."""
        return f"({self.model.where}\n)" if self.model.where else "true"

    @property
    def known_at(self) -> str:
        """Return SQL over the label's table: the moment from which on an outcome is known; NULL as long as none is."""
        label = self.model.label
        return f"(CASE WHEN ({label.value}\n) IS NOT NULL THEN ({label.known_at}\n)::TIMESTAMP WITH TIME ZONE END)"

    @property
    def features_hash(self) -> str:
        """Return SQL over a row of the features table that gives the hash of its features; NULL has one of its own."""
        parts = [_hashed(column) for column in sorted(self.feature_columns, key=lambda column: column.name)]
        return f"md5(concat({', '.join(parts)}))"

    @property
    def fingerprint(self) -> int:
        """Return a number of 63 bits that is the same as long as the contracts say the same of which rows are scored.

        What else a contract says of training counts with the version that is trained by it.
        """
        label, kinds = self.model.label, {column.name: column.type for column in self.feature_columns}
        facts = [self.model.features, self.model.where, label.table, label.value, label.known_at, kinds]
        text = json.dumps(facts, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def scored_table(contracts: Contracts, table: Table) -> Scored:
    """Return a table of scores with its model and its features table."""
    model = contracts.models[str(table.scored_by)]
    return Scored(table, model, {**contracts.silver, **contracts.gold}[model.features])


def _hashed(column: Column) -> str:
    """Return SQL for a feature as one text: its name, and its value behind the length of that, so that none runs over.

    Of a float twelve digits count: sums of floats differ in the last ones by the order of their rows.
    """
    name = identifier(column.name)
    text = f"format('{{:.12g}}', {name}::DOUBLE + 0.0)" if column.type in ("FLOAT", "DOUBLE") else f"{name}::VARCHAR"
    return f"{literal(column.name + '=')}, coalesce(strlen({text}) || ':' || {text}, '-'), chr(10)"
