"""What one step did, in rows; and the law of conservation that every step must satisfy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from src.errors import BoathouseError, DataError

if TYPE_CHECKING:
    from src.checks.audits import AuditResult

PARTS = (  # what becomes of a row that is read: one of these
    *("inserted", "updated", "unchanged", "duplicates", "superseded", "conflicts"),
    *("quarantined", "deleted", "forgotten"),
)
_COUNTS = ("read", *PARTS, "removed", "written", "partitions", "files")


@dataclass(frozen=True)
class Outcome:
    """Row counts of one step on one table.

    `read` rows came in; each is counted exactly once among the rest: `duplicates`
    are equal to another in every column, `superseded` lost to a newer row of their key, `conflicts`
    to one that nothing says is newer, `forgotten` were held back as those of somebody
    who was forgotten. `removed` are stored rows that a newer statement lacks, no row that was read.
    `written` is what the commit
    added to the table (for gold: the rows of the partitions that were replaced); `files` are landed
    files taken; `mostly_rejected`: more rows were rejected than passed; `refusals` inputs that were
    refused whole; `audits` what was found before the commit. `conflict_notes` name the keys in conflict,
    `notes` say what else a person should know.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    superseded: int = 0
    conflicts: int = 0
    quarantined: int = 0
    deleted: int = 0
    forgotten: int = 0
    removed: int = 0
    written: int = 0
    partitions: int = 0
    files: int = 0
    version: int | None = None
    mostly_rejected: bool = False
    refusals: tuple[BoathouseError, ...] = ()
    conflict_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    audits: tuple[AuditResult, ...] = ()

    def plus(self, other: Outcome) -> Outcome:
        """Return two outcomes on the same table, one after the other, as one."""
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return replace(
            other,
            **counts,
            mostly_rejected=self.mostly_rejected or other.mostly_rejected,
            refusals=self.refusals + other.refusals,
            conflict_notes=self.conflict_notes + other.conflict_notes,
            notes=self.notes + other.notes,
            audits=self.audits + other.audits,
        )

    def conserve(self, table: str) -> Outcome:
        """Return self when every row read is accounted for.

        Raises:
            DataError: the sum does not close; the step must not commit.
        """
        parts = {name: getattr(self, name) for name in PARTS}
        if self.read != sum(parts.values()):
            shown = " + ".join(f"{count} {name}" for name, count in parts.items())
            raise DataError(
                f"{self.read} rows read, but {shown} = {sum(parts.values())}",
                where=table,
                fix="nothing was committed; this is a defect of Boathouse: report it with the log",
            )
        return self
