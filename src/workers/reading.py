"""Landed files read by workers: each hashes some, and writes some as rows of bronze."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from src import lake
from src.bronze.appending import FileReader, together
from src.bronze.ingest import Landed, Taken, digests_of
from src.workers import tasks
from src.workers.stages import Stages


@dataclass(frozen=True)
class SharedReaders:
    """The workers as readers of landed files; a few small files are the driver's own."""

    stages: Stages

    def deals(self, size: int) -> bool:
        """Return whether so many bytes of landed files are read by workers."""
        return self.stages.deals(size)

    def digests(self, files: Sequence[Landed]) -> Iterable[str | OSError]:
        """Return the hash of each file's bytes, or why they cannot be read."""
        if not self.deals(sum(file.size for file in files)):
            return digests_of(files, 1)
        shares = self.stages.shares(files)
        return [found for some in self.stages.deal("bronze", tasks.hash_files, shares) for found in some]

    def read_all(self, reader: FileReader, parts: Sequence[Landed]) -> Taken:
        """Write the files as rows of bronze; those of which a column is spelled otherwise than in the table, again.

        The spelling of a column is that of the first file which has it, and a worker sees its own files alone.
        """
        shares = [
            tasks.Reading(
                reader.root,
                reader.feed,
                reader.batch,
                {part.name: reader.moments[part.name] for part in share},
                dict(reader.spelling),
                share,
            )
            for share in self.stages.shares(parts)
        ]
        found = self._read(reader, shares)
        for one in found:
            for low, name in one.spelling.items():
                reader.spelling.setdefault(low, name)
        wrong = [at for at, one in enumerate(found) if not one.spelling.items() <= reader.spelling.items()]
        for at in wrong:
            lake.discard(reader.root, found[at].taken[0])
        again = self._read(reader, [replace(shares[at], spelling=dict(reader.spelling)) for at in wrong])
        for at, one in zip(wrong, again, strict=True):
            found[at] = one
        for one in found:
            reader.remarks.update(one.remarks)
            reader.left_out.update(one.left_out)
        return together([one.taken for one in found])

    def _read(self, reader: FileReader, shares: Sequence[tasks.Reading]) -> list[tasks.FilesRead]:
        def take_back(one: tasks.FilesRead) -> None:
            lake.discard(reader.root, one.taken[0])

        return self.stages.deal(reader.feed.id, tasks.read_files, shares, take_back)
