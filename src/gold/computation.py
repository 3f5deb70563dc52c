"""The temporary tables in which a gold table is computed: each is named here, and only here.

They are tables of the engine, not of the lake: the next computation replaces them, and they end with the process.
"""

from __future__ import annotations

from enum import StrEnum


class Computation(StrEnum):
    """The names of a computation's temporary tables, each with who fills it and who may read it.

    A module that is not named at a table leaves it alone. Nobody takes rows out of one.
    """

    # The rows that the model gives, of every partition, where they are not written. Filled by aggregate, through Model.
    # Read by maintenance.check and model_tests. Of a table of scores, for Commit, it is filled by ml.scored_rows.
    RESULT = "result"

    # Partitions that a change of the sources touches. Filled by Touched.find. Without a lookback they are those to
    # compute and to read, too.
    TOUCHED = "touched"

    # Partitions to compute, and those whose rows are read for them, with a lookback. Filled by Touched.widen. Read by
    # aggregate, which hands them to Model, Claim and Commit. Of a table of scores filled by ml.scored_rows, for Commit.
    OUTPUTS = "outputs"
    READS = "reads"

    # Partitions that are computed together, and those whose rows are read for them. Filled and read by Slabs.
    SLAB = "slab_outputs"
    SLAB_READS = "slab_reads"

    # The partitions that the sources have, numbered in order. Filled by touched.number_present, read by
    # touched.neighbours.
    PRESENT = "present"

    # Partitions drawn to check a claim, those read for them, and their rows. Filled and read by Claim.
    DRAWN = "drawn"
    DRAWN_READS = "drawn_reads"
    ALONE = "alone"

    # What a Python model returned. Filled and read by Model.
    MODEL = "model"
