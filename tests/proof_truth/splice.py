"""What a run would do with a model by partitions, against the model computed whole: the same, or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from proof_truth import tables
from src.contract import Column, Table
from src.engine import DuckEngine, literal
from src.errors import BoathouseError
from src.proof import Proof
from src.proof.proving import prove

OLD, NEW, CUT = "shop_old", "shop_new", "shop_cut"


@dataclass
class Model:
    """One model, what the proof says of it, and what came out when it was computed."""

    sql: str
    partition: Column
    lookback: int = 0
    proof: Proof = field(default_factory=lambda: Proof({}))
    computed: int = 0  # instances in which it was computed by partitions
    wrong: int = 0  # of these

    @cached_property
    def table(self) -> Table:
        return Table(
            layer="gold",
            domain="shop",
            name="model",
            version="1.0.0",
            columns=(self.partition,),
            partition_by=(self.partition.name,),
            sources=tuple(name for name in tables.CONTRACTS if re.search(rf"\b{name}\b", self.sql)),
            sql=self.sql,
            lookback=self.lookback,
        )

    @property
    def is_proven(self) -> bool:
        return self.proof.refusal is None

    @cached_property
    def cuts(self) -> Mapping[str, str]:
        """By what each table is cut; of a model that is not proven, by the partition's name and expression."""
        if self.is_proven:
            return {name.split(".")[-1]: cut for name, (cut,) in self.proof.cuts.items()}
        made = self.partition.expression or self.partition.name
        names = {name for name in re.findall(r"\w+", made) if any(name in c for c in tables.COLUMNS.values())}
        read = (name.split(".")[-1] for name in self.table.sources)
        cut = f"CAST({made} AS {self.partition.type})"
        return {name: cut for name in read if names and names <= set(tables.COLUMNS[name])}

    def judge(self, engine: DuckEngine) -> None:
        self.proof = prove(engine, self.table, tables.CONTRACTS)


class Instance:
    """One random state of the tables, and a change of it."""

    def __init__(self, engine: DuckEngine, random: Random) -> None:
        self._engine = engine
        old = tables.draw(random)
        new = tables.change(random, old)
        tables.fill(engine, OLD, old)
        tables.fill(engine, NEW, new)
        engine.execute(f"CREATE SCHEMA IF NOT EXISTS {CUT}")
        self._moved = {table for table in old if old[table] != new[table]}
        self._known: dict[str, set[object]] = {}
        self._views: dict[str, str] = {}

    def compute(self, model: Model) -> None:
        """Compute a model by the partitions that the change touched, and note whether all of it is then right.

        Nothing is noted where the change touched no partition, or a table that is read whole: all is computed then.
        A model that fails on these rows, such as one whose scalar subquery has two, tells nothing.
        """
        cuts = model.cuts
        read = {name.split(".")[-1] for name in model.table.sources}
        if not cuts or read & self._moved - set(cuts):
            return
        outputs, reads = self._partitions(model, cuts)
        if not outputs:
            return
        for table in read:
            condition = f" WHERE {cuts[table]} IN {_listed(reads)}" if table in cuts else ""
            self._view(f"{CUT}.{table}", f"SELECT * FROM {NEW}.{table}{condition}")
        try:
            wrong = self._differs(model, outputs)
        except BoathouseError:
            return
        model.computed += 1
        model.wrong += wrong

    def compute_in_slabs(self, model: Model) -> bool | None:
        """Compute a proven model whole, slab by slab as gold does; return whether it is right, None where it fails."""
        cuts = model.cuts
        present: set[object] = set().union(*(self._values(cut, f"{NEW}.{table}") for table, cut in cuts.items()))
        order = sorted(present)  # type: ignore[type-var]
        name, read = model.partition.name, {name.split(".")[-1] for name in model.table.sources}
        slabs = [order[at : at + 2] for at in range(0, len(order), 2)]
        found = []
        try:
            for at, slab in enumerate(slabs):
                first = max(0, 2 * at - model.lookback)
                reads = set(order[first : 2 * at + 2])
                for table in read:
                    condition = f" WHERE {cuts[table]} IN {_listed(reads)}" if table in cuts else ""
                    self._view(f"{CUT}.{table}", f"SELECT * FROM {NEW}.{table}{condition}")
                self._engine.table(f"slab_{at}", f"FROM ({_over(model, CUT)}) WHERE {name} IN {_listed(set(slab))}")
                found.append(f"FROM slab_{at}")
            beside = f"({name} IN {_listed(present)}) IS NOT TRUE" if present else "true"
            found.append(f"FROM ({_over(model, NEW)}) WHERE {beside}")
            spliced, whole = " UNION ALL ".join(f"({one})" for one in found), f"FROM ({_over(model, NEW)})"
            sides = f"(({spliced}) EXCEPT ALL ({whole})) UNION ALL (({whole}) EXCEPT ALL ({spliced}))"
            return not self._engine.rows(f"SELECT 1 FROM ({sides}) LIMIT 1")
        except BoathouseError:
            return None

    def _partitions(self, model: Model, cuts: Mapping[str, str]) -> tuple[set[object], set[object]]:
        """The partitions to compute, and those to read for it, as gold finds them."""
        moved = [(table, cut) for table, cut in cuts.items() if table in self._moved]
        touched: set[object] = set().union(*(self._values(cut, _changed(table)) for table, cut in moved))
        if not model.lookback:
            return touched, touched
        present = sorted(set().union(*(self._values(cut, f"{NEW}.{t}") for t, cut in cuts.items())))  # type: ignore[type-var]

        def near(partitions: set[object], first: int, last: int) -> set[object]:
            found = set(partitions)
            for partition in partitions:
                place = sum(other <= partition for other in present) - 1  # type: ignore[operator]
                found |= set(present[max(0, place + first) : max(0, place + last + 1)])
            return found

        outputs = near(touched, 1, model.lookback)
        return outputs, near(outputs, -model.lookback, 0)

    def _values(self, expression: str, relation: str) -> set[object]:
        sql = f"SELECT DISTINCT {expression} FROM {relation}"
        if sql not in self._known:
            self._known[sql] = set(self._engine.values(sql)) - {None}
        return self._known[sql]

    def _view(self, name: str, sql: str) -> None:
        if self._views.get(name) != sql:
            self._engine.execute(f"CREATE OR REPLACE VIEW {name} AS {sql}")
            self._views[name] = sql

    def _differs(self, model: Model, outputs: set[object]) -> bool:
        """Whether a partition that was computed is wrong, or one that was not has moved."""
        computed = f"{model.partition.name} IN {_listed(outputs)}"
        pairs = [
            (CUT, NEW, computed),
            (NEW, CUT, computed),
            (OLD, NEW, f"NOT {computed}"),
            (NEW, OLD, f"NOT {computed}"),
        ]
        differences = " UNION ALL ".join(
            f"((SELECT * FROM ({_over(model, one)}) WHERE {rows}) EXCEPT ALL "
            f"(SELECT * FROM ({_over(model, two)}) WHERE {rows}))"
            for one, two, rows in pairs
        )
        return bool(self._engine.rows(f"SELECT 1 FROM ({differences}) LIMIT 1"))


def _over(model: Model, schema: str) -> str:
    return model.sql.replace("silver.shop.", f"{schema}.")


def _changed(table: str) -> str:
    one, two = f"FROM {OLD}.{table}", f"FROM {NEW}.{table}"
    return f"(({one} EXCEPT ALL {two}) UNION ALL ({two} EXCEPT ALL {one}))"


def _listed(partitions: set[object]) -> str:
    return "(" + ", ".join(sorted(map(literal, partitions))) + ")"


def compute_all(
    engine: DuckEngine, models: list[Model], instances: int, seed: int, enough: Callable[[Model], bool]
) -> None:
    """Compute models in random instances, each until there is enough of it."""
    random = Random(seed)
    for _ in range(instances):
        compute_once(engine, models, random, enough)


def compute_once(engine: DuckEngine, models: list[Model], random: Random, enough: Callable[[Model], bool]) -> None:
    """Compute models in one random instance, save those of which there is enough."""
    instance = Instance(engine, random)
    for model in models:
        if not enough(model):
            instance.compute(model)


def enough_of(refused: int) -> Callable[[Model], bool]:
    """Enough of a refused model: it was wrong once, or right in so many instances; of one that is proven never."""
    return lambda model: not model.is_proven and (model.wrong > 0 or model.computed >= refused)
