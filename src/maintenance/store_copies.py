"""Copies that an object store makes within itself, where a lake and its backups are on the same one.

No byte of them comes to this machine. What a copy holds is proven by the SHA-256 that the store computes of the bytes
it has written. As a file of a backup goes by its hash, which nobody knows before, it is copied to `incoming/` first,
and to its name from there. Where the store does not do it, whatever the reason, everything goes through this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from src import store
from src.errors import BoathouseError, DataError, TransientError
from src.maintenance.manifests import BackupFile
from src.remote import Remote

_INCOMING = "incoming"


@dataclass(frozen=True)
class Incoming:
    """An object that was copied to the remote, and has no name of a backup's yet."""

    path: Path
    sha256: str


@dataclass
class StoreCopies:
    """Copies between a lake and a remote on the same store; `refusal`: why the store does not make them, once known."""

    remote: Remote
    root: Path  # of the remote, as the store knows it
    credential: store.Credential
    refusal: str = ""
    _count: int = field(default=0, repr=False)

    @contextmanager
    def incoming(self) -> Iterator[None]:
        """Let objects come in within a with-block, at whose end they go; those of one that was killed at its begin."""
        [left] = self.remote.listing(_INCOMING)
        self.remote.delete(left, _INCOMING)
        try:
            yield
        finally:
            self.remote.delete([str(number) for number in range(self._count)], _INCOMING)

    def take(self, root: Path, sizes: Mapping[str, int]) -> dict[str, Incoming]:
        """Copy objects of a folder, by their paths there, to the remote; return those that were."""
        names = [name for name, size in sizes.items() if size <= store.COPIED_WHOLE]
        targets = [self.root / _INCOMING / str(self._count + nth) for nth in range(len(names))]
        self._count += len(names)
        hashes = self._copied([(root / name, target) for name, target in zip(names, targets, strict=True)])
        return {n: Incoming(path, hash_) for n, path, hash_ in zip(names, targets, hashes, strict=False)}

    def name(self, files: Mapping[str, Path], folder: str) -> None:
        """Give objects that came in their names in a folder of the remote.

        Raises:
            DataError: one is not what its name says.
            TransientError: the store does not make a copy that it made before.
        """
        names = [*files]
        hashes = self._copied([(files[name], self.root / folder / name) for name in names])
        if names and not hashes:
            raise TransientError(f"the store stopped copying: {self.refusal}", where=self.remote.path, fix="run again")
        _refuse_others(names, hashes, self.remote.path)

    def bring(self, files: Sequence[tuple[BackupFile, Path]], folder: str) -> bool:
        """Copy files of a backup, in a folder of the remote, to the lake; returns whether the store did it.

        Raises:
            DataError: one is missing there, or is not what its name says.
        """
        pairs = [(self.root / folder / file.name, target) for file, target in files]
        if any(file.size > store.COPIED_WHOLE for file, _ in files):
            return False
        try:
            hashes = self._copied(pairs)
        except FileNotFoundError as error:
            where = error.filename or self.remote.path
            raise DataError("a file of the backup is missing", where=where, fix="name another backup") from error
        if hashes:
            _refuse_others([file.name for file, _ in files], hashes, self.remote.path)
        return bool(hashes) or not files

    def _copied(self, pairs: Sequence[tuple[Path, Path]]) -> list[str]:
        """Return the hashes of copies; none where the store does not make them."""
        if self.refusal or not pairs:
            return []
        try:
            hashes = store.copy_within(pairs, self.credential)
        except (FileNotFoundError, TransientError):
            raise
        except BoathouseError as error:
            self.refusal = error.what
        except OSError as error:
            self.refusal = str(error)
        else:
            if all(hashes):
                return hashes
            self.refusal = "it computes no SHA-256 of a copy"
        return []


def between(data: Path, remote: Remote) -> StoreCopies | None:
    """Return the copies between a lake and its backups that the store can make; None where it has not both."""
    if not store.is_remote(data) or remote.in_lakes_store is None:
        return None
    return StoreCopies(remote, *remote.in_lakes_store)


def _refuse_others(names: Sequence[str], hashes: Sequence[str], where: str) -> None:
    """Refuse files whose bytes have another hash than their names say.

    Raises:
        DataError: naming the first.
    """
    wrong = [name for name, found in zip(names, hashes, strict=True) if not name.endswith(found)]
    if wrong:
        fix = "`make drill` tells whether the backup is damaged; `make backup` copies afresh what a drill found"
        raise DataError(f"{len(wrong)} files are not what their names say, such as {wrong[0]}", where=where, fix=fix)
