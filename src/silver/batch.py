"""The temporary tables that hold a batch on its way from bronze to a silver table: each is named here, and only here.

They are tables of the engine, not of the lake: the next batch replaces them, and they end with the process.
"""

from __future__ import annotations

from enum import StrEnum

from src.contract import Feed


class Batch(StrEnum):
    """The names of a batch's temporary tables, each with who fills it, who takes rows out of it, and who may read it.

    A module that is not named at a table leaves it alone. Whoever fills a table replaces what was there.
    """

    # Typed rows. Filled by incoming.compute. Rows leave in incoming.compute (rejected, or lost to a row of the batch),
    # winners.contest (lost to a stored row), statements.replace_rows (stored already), winners.set_deletions_aside and
    # slices.cut (outside the slice).
    # winners.reject_conflicts and groups.show_values write reasons and values; history.lay_out gives versions their
    # validity. Read by all of silver and by maintenance.check.
    INCOMING = "incoming"

    # Lines that no reader could split. Filled by incoming.compute, where there are some or the table has `replaces`;
    # read by it and by statements.
    UNSPLIT = "unsplit"

    # Rows with reasons. Filled by incoming.compute. Read by reasons, causes, rejects, merge and maintenance.check.
    REJECTED = "rejected"

    # Distinct texts of one column that were rejected for one reason. Filled and read by causes.
    TEXTS = "texts"

    # Hashes of the keys that occur twice, and what winners.rank asks of the rows that may have one. Filled by
    # winners.find_losers, and by passes; read and dropped by winners.rank, which has whole rows in it for a while.
    SHARED_KEYS = "twice"
    CONTENDERS = "contenders"

    # The row ids that lost to another row of the batch, and which of the rows in `contenders` won by their content.
    # Filled by winners.rank. LOSERS is read by incoming.compute, where it is good until the first row leaves
    # `incoming`, and by passes.
    LOSERS = "losers"
    WINNERS = "winners"

    # Keys in conflict, by name, where there are some. Filled by winners; read by it, and by workers' tasks.
    IN_CONFLICT = "in_conflict"

    # Bronze rows with reasons, with a key that occurs twice or that say their key is gone; and the numbers of those
    # that are not written. Filled, read and dropped by passes.
    JUDGED = "judged"
    AWAY = "away"

    # What stays of a large `incoming`, and then takes its name. Filled by incoming.compute.
    KEPT = "kept"

    # Stored rows of the keys in `incoming`, and which rows of both lost; of few new rows with a sequence SUPERSEDED
    # alone says it. Filled by winners.contest; read by winners.
    STORED = "stored"
    CONTEST = "contest"

    # Where the stored rows lie that a new row replaces. Filled by winners.contest; history.lay_out adds the versions
    # that it lays out again. Read by merge.
    SUPERSEDED = "superseded"

    # Rows that say their key is gone. Filled by winners.set_deletions_aside; read by winners, history and merge.
    DELETED = "deleted"

    # What the files of a batch speak of: slice, place in the sequence, file, arrival. Filled by statements.find; read
    # by statements, merge and maintenance.check.
    STATEMENTS = "statements"

    # The statements that live, those from before among them; the slices of the new ones; the row ids of `incoming`
    # whose statement lost (good as long as those of `losers`). Filled by statements; LIVE and TOUCHED are read
    # by it, history and merge, STALE by incoming.keep_winners.
    LIVE = "live"
    TOUCHED = "touched_slices"
    STALE = "stale"

    # Stored rows of replaced slices, each with the row of `incoming` that has its key. Filled and read by
    # statements.replace_rows.
    STATED = "stated"

    # Moments of the statements of each slice, the rows of keys at them, and the versions these make. Filled and read by
    # history.lay_out_statements.
    MOMENTS = "moments"
    PLACED = "placed"
    VERSIONS = "versions"

    # Stored versions of the keys that got a new one, or that hold in slices of new statements. Filled and read
    # by history.
    NEIGHBOURS = "neighbours"

    # Source values of rejected rows of a wide table. Filled, read and dropped by groups.show_values.
    SHOWN = "shown"

    @staticmethod
    def made_of(feed: Feed) -> str:
        """Return the name of the rows that a sibling SQL makes of a feed's. Filled and read by incoming.compute."""
        return f"made of {feed.id}"

    @staticmethod
    def group(nth: int, feed: Feed) -> str:
        """Return the name of some typed columns of a wide table. Filled, read and dropped by groups."""
        return f"group {nth} of {feed.id}"
