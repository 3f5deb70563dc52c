"""Proof before trust: a gold table is computed by partitions only where its SQL proves that this gives the same.

`proving.prove` decides from the model and the contracts alone; `stored_proof` keeps what it decided. Each module adds
one step and imports only those before it: `expressions`, `refusals`, `sources`, `relations` and `reasoning` (what the
proof is made in), `names`, `joins`, `unions` and `lookback` (rules), `walk` (over the parsed model), `facts` (of the
contracts), `cutting` (which sources are cut, and by what), `proving`, `kept`.
"""

from __future__ import annotations

from src.proof.kept import stored_proof as stored_proof
from src.proof.refusals import Proof as Proof
from src.proof.refusals import Refusal as Refusal
