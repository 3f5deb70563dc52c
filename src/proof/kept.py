"""Proofs kept between runs: one small file per table, valid as long as all that was looked at is the same."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from src import contract
from src.contract import Table
from src.engine import DuckEngine
from src.proof.refusals import Proof, Refusal


def stored_proof(engine: DuckEngine, table: Table, tables: Mapping[str, Table], folder: Path) -> Proof:
    """Return the proof of a gold table, from `folder` where it lies there; else made, and kept there.

    A file that cannot be read or written costs a proof, and nothing else.
    """
    looked_at = _looked_at(engine, table, tables)
    file = folder / f"{table.id}.json"
    proof = _read(file, looked_at)
    if proof is None:
        from src.proof.proving import prove  # where none is kept, and nowhere else: importing takes time

        proof = prove(engine, table, tables)
        _keep(file, {"of": looked_at, "proof": asdict(proof)})
    return proof


def _looked_at(engine: DuckEngine, table: Table, tables: Mapping[str, Table]) -> str:
    """Return a hash of the prover, the engine, and the logic of the table and of everything that it is made of."""
    facts: dict[str, Any] = {}
    todo = [table]
    while todo:
        one = todo.pop()
        if one.id not in facts:
            facts[one.id] = [contract.logic(one), one.sources, one.lookback]
            todo += [tables[name] for name in one.sources if one.sql]
    text = json.dumps([_prover(), engine.version, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _prover() -> str:
    """Return a hash of the prover's own code: another one proves again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(file: Path, looked_at: str) -> Proof | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["of"] != looked_at:
            return None
        refusal = kept["proof"]["refusal"]
        cuts = {str(name): tuple(map(str, cut)) for name, cut in kept["proof"]["cuts"].items()}
        return Proof(cuts, Refusal(**refusal) if refusal else None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _keep(file: Path, kept: Mapping[str, Any]) -> None:
    new = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(kept), encoding="utf-8")
        os.replace(new, file)  # whole or not at all; a power loss leaves what is proven again
    except OSError:
        with suppress(OSError):
            new.unlink()
