"""Lines that bring somebody back who was forgotten are held back: they never enter bronze, and are counted.

What is about to be added to bronze is asked the same question as bronze itself, by the hashes that are remembered. No
line enters while it cannot be asked: where the key is missing, or another, nothing of the feed is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from src import lake
from src.engine import identifier
from src.forget import unfinished

if TYPE_CHECKING:
    from src.contract import Feed
    from src.project import Project

_LINES = "lines held back"


def withhold(
    project: Project, feed: Feed, bronze: lake.Snapshot, written: Sequence[lake.DataFile]
) -> tuple[list[lake.DataFile], dict[int, int]]:
    """Return the files that bronze may take in place of written ones, and how many lines were held back.

    These by the moment of their landed file's arrival, in microseconds since 1970. Files with such a line are written
    again without it, and removed.

    Raises:
        MachineError: somebody of whom the feed may speak was forgotten, and the key of what is remembered is not there.
    """
    engine, data = project.engine, project.settings.data_dir
    if not written or unfinished.open_entries(data) is None:
        return list(written), {}
    from src.forget import bronze as taking  # where somebody was forgotten, and nowhere else: importing takes time
    from src.forget import certificates, key, lines

    names = [table.id for table in lines.tables_of(project.contracts, feed.id)] + [feed.id]
    claims, checks, keys = certificates.remembered(engine, data, names)
    if not claims:
        return list(written), {}
    known = key.read_key(project.settings)
    if known is None or checks != {key.check_value(known)}:
        raise key.wrong_key(project.settings, feed.id, missing=known is None)
    key.use(engine, known)
    if not lines.find(engine, project.contracts, (feed, bronze, written), claims, keys, _LINES):
        return list(written), {}
    found = f"temp.{identifier(_LINES)}"
    files = taking.holding(engine, bronze.only(written), found)
    new = taking.rewritten(engine, bronze, files, found)
    lake.discard(bronze.root, files)
    gone = dict(engine.rows(f"SELECT epoch_us(_ingested_at), count(*) FROM {found} GROUP BY 1"))
    return [*lake.without(written, files), *new], gone
