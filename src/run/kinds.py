"""What kind of work a run does: a field of its record, whatever was typed to start it."""

from __future__ import annotations

from enum import StrEnum


class RunKind(StrEnum):
    """The kind of a run, as the column `kind` of `ops.pipeline_runs` holds it."""

    PIPELINE = "pipeline"
    PULL = "pull"
    BACKFILL = "backfill"
    REBUILD = "rebuild"
    REPLAY = "replay"  # of a table whose quarantine may now pass
    WAIVE = "waive"
    CONFIRM = "confirm"
    ROLLBACK = "rollback"
    PROMOTE = "promote"  # of a branch
    OPTIMIZE = "optimize"
    VACUUM = "vacuum"
    RETAG = "retag"
    UPGRADE = "upgrade"
    FORGET = "forget"  # of a person, or of rows past their date
    TRAIN = "train"  # models: trained, or given another status by hand


# How the command of a run began, before its kind was recorded.
_COMMANDS = {
    "make pipeline": RunKind.PIPELINE,
    "backfill ": RunKind.BACKFILL,
    "rebuild ": RunKind.REBUILD,
    "quarantine replay ": RunKind.REPLAY,
    "quarantine waive ": RunKind.WAIVE,
    "confirm ": RunKind.CONFIRM,
    "rollback ": RunKind.ROLLBACK,
    "make optimize": RunKind.OPTIMIZE,
    "vacuum": RunKind.VACUUM,
    "make schema-version": RunKind.RETAG,
}


def kind_of_command(column: str) -> str:
    """Return SQL that tells the kind of a run of before there were kinds, by its command; NULL where it does not."""
    cases = " ".join(f"WHEN starts_with({column}, '{begin}') THEN '{kind}'" for begin, kind in _COMMANDS.items())
    return f"CASE {cases} END"
