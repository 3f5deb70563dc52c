"""Scoring: a row of the features table gets what the active version of a model says of it, and keeps it.

A prediction is never rewritten once its outcome is known: not by another version, nor by features that were corrected,
nor where the table is computed whole. An open row is scored again where its features or the active version changed.
Without an active version the rows stay as they are, and new ones wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from src import contract, lake
from src.checks.outcome import Outcome
from src.engine import DuckEngine
from src.errors import ContractError
from src.gold import aggregate
from src.gold.aggregate import Work
from src.gold.commit import Commit
from src.gold.computation import Computation
from src.ml import predicting, registry
from src.ml.frames import features_of, read_features
from src.ml.scored import SCORED_BY, SCORED_WITH, Scored
from src.ml.scored_rows import Counts, Rows
from src.ml.versions import Version

SCORE = "score"  # kind of Work: the rows that need it are scored
_OPEN_CLASSES = (None, "public", "internal")  # of a feature whose values a reason may show


def plan(engine: DuckEngine, scored: Scored, gold: lake.Snapshot | None, sources: Mapping[str, lake.Snapshot]) -> Work:
    """Decide what to do from the versions of the tables and of the model alone; changes nothing.

    Raises:
        ContractError: the contract changed and its version does not say so.
    """
    work = aggregate.plan(scored.table, gold, sources)
    version, unfit = usable(engine, scored, sources)
    if gold is None and version is None:
        return Work("nothing", unfit, work.until)
    if gold is None or work.kind == "rebuild":
        return work
    before, now = gold.progress(SCORED_WITH), version.version if version else 0
    why = [work.why] if work.kind != "nothing" else []
    if now != before:
        why.append(unfit or f"{scored.model.id}: version {now} scores" + (f", before {before}" if before else ""))
    if gold.progress(SCORED_BY) != scored.fingerprint:
        why.append(f"the contract of {scored.model.id} changed")
    return Work(SCORE, ", ".join(why), work.until) if why else work


def run(
    engine: DuckEngine,
    scored: Scored,
    root: Path,
    sources: Mapping[str, lake.Snapshot],
    refers: Mapping[str, lake.Snapshot],
    *,
    batch: str,
    now: datetime,
    full_refresh: bool = False,
) -> Outcome:
    """Bring a table of scores up to these versions of its sources; `now` in UTC.

    `full_refresh`: every row is scored whose outcome is not known.

    Raises:
        ContractError: the contracts do not fit the tables.
        DataError: the artefact of the version is damaged, or the rows break the contract; nothing was committed.
        UsageError: what opens models is not installed.
    """
    table, gold = scored.table, lake.open_table(root)
    work = plan(engine, scored, gold, sources)
    version, unfit = usable(engine, scored, sources)
    if gold is None and version is None:
        return Outcome(notes=(unfit,))
    rebuild = gold is None or work.kind == "rebuild" or full_refresh
    if gold is not None and not rebuild:
        gold = lake.set_properties(gold, contract.tags(table, gold))
        if work.kind == "nothing":
            return Outcome(version=gold.version, notes=(unfit,) if unfit else ())
    rows, counts = judge(engine, scored, sources, gold, version, now, full_refresh=full_refresh)
    state = {SCORED_WITH: version.version if version else 0, SCORED_BY: scored.fingerprint}
    commit = Commit(engine, table, root, sources, refers, batch, state)
    if gold is not None and not rebuild and not counts.changed:
        outcome = commit.seen(gold)
    elif gold is None or rebuild or not table.partition_by:
        rows.result(among_outputs=False)
        outcome = commit.whole([f"FROM {Computation.RESULT}"])
    else:
        rows.touched()
        rows.result(among_outputs=True)
        outcome = commit.partitions(gold, Computation.OUTPUTS, [f"FROM {Computation.RESULT}"])
    return _counted(outcome, counts, unfit)


def judge(
    engine: DuckEngine,
    scored: Scored,
    sources: Mapping[str, lake.Snapshot],
    gold: lake.Snapshot | None,
    version: Version | None,
    now: datetime,
    *,
    full_refresh: bool = False,
) -> tuple[Rows, Counts]:
    """Tell which rows are kept and which are scored, and score these; nothing is written.

    Raises:
        ContractError, DataError, UsageError: as `run`.
    """
    bind(engine, scored, sources)
    rows = Rows(engine, scored, sources, gold, version.version if version else None, now, full_refresh)
    counts = rows.judge()
    hidden = [column.name for column in scored.feature_columns if column.classification not in _OPEN_CLASSES]
    predictor = None
    if version is not None and (counts.new or counts.again):
        whole = registry.read_version(engine, sources[scored.model.id], version.version)
        predictor = predicting.open_predictor(whole, hidden)
    predicting.fill_scores(engine, predictor)
    return rows, counts


def usable(engine: DuckEngine, scored: Scored, sources: Mapping[str, lake.Snapshot]) -> tuple[Version | None, str]:
    """Return the active version of the model, without its artefact; None, and why, where none can score."""
    model = scored.model
    command = f"`main.py train --model {model.domain}.{model.name}`"
    version = registry.active_facts(engine, sources.get(model.id))
    if version is None:
        return None, f"no version of {model.id} is active: {command} trains one, and says why one is not taken"
    if lacking := _lacking(scored, version):
        return None, f"version {version.version} of {model.id} was trained by {lacking}: train again, by {command}"
    return version, ""


def bind(engine: DuckEngine, scored: Scored, sources: Mapping[str, lake.Snapshot]) -> None:
    """Bind the SQL of the model's contract to the columns of the tables; reads no row.

    Raises:
        ContractError: it does not fit them.
    """
    of_features = f"SELECT {scored.features_hash} FROM {engine.scan(sources[scored.features.id])}"
    of_label = f"SELECT {scored.key}, {scored.known_at} FROM {engine.scan(sources[scored.model.label.table])}"
    written = {f"{of_features} WHERE {scored.condition}": scored.condition, of_label: scored.known_at}
    for statement, expression in written.items():
        try:
            engine.columns(statement)
            for name, instead in engine.unrepeatable(f"SELECT {expression}").items():
                raise ContractError(f"{name} is not a function of the rows it reads", fix=instead)
        except ContractError as error:
            raise ContractError(f"{scored.model.id}: {error.what}", where=scored.model.path, fix=error.fix) from None


def _lacking(scored: Scored, version: Version) -> str:
    """Return the features of a version that the features table has not, or has of another kind; "" where it has all."""
    now = {feature.name: feature.kind for feature in features_of(scored.features)}
    return ", ".join(
        f"{one.name} ({one.kind})" for one in read_features(version.features) if now.get(one.name) != one.kind
    )


def _counted(outcome: Outcome, counts: Counts, unfit: str) -> Outcome:
    """Return the outcome of a commit with what became of the rows of the features table."""
    notes = [unfit] if unfit else []
    if counts.waiting:
        wait = (
            "row waits for a version that scores it"
            if counts.waiting == 1
            else "rows wait for a version that scores them"
        )
        notes.append(f"{counts.waiting} {wait}")
    return replace(
        outcome,
        read=counts.new + counts.again + counts.kept,
        inserted=counts.new,
        updated=counts.again + counts.described,
        unchanged=counts.kept - counts.described,
        removed=counts.removed,
        notes=(*outcome.notes, *notes),
    )
