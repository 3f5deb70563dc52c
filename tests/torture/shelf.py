"""A remote for backups that is a folder."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from src.remote import Remote


class Shelf(Remote):
    """A folder as rclone keeps it, without starting a program for each look at it."""

    def listing(self, *folders: str) -> list[dict[str, int]]:
        found = []
        for folder in folders:
            top = Path(self.path) / folder
            files = (path for path in top.rglob("*") if path.is_file() and not path.is_symlink())
            found.append({path.relative_to(top).as_posix(): path.stat().st_size for path in files})
        return found

    def put(self, names: Collection[str], folder: Path, below: str, *, afresh: bool = False) -> None:
        for name in names:
            target = Path(self.path) / below / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(folder / name, target)

    def get(self, names: Collection[str], below: str, folder: Path) -> None:
        for name in names:
            source, target = Path(self.path) / below / name, folder / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def check(self, names: Collection[str], folder: Path, below: str) -> None:
        for name in names:
            assert (Path(self.path) / below / name).read_bytes() == (folder / name).read_bytes()

    def delete(self, names: Collection[str], below: str) -> None:
        for name in names:
            (Path(self.path) / below / name).unlink(missing_ok=True)

    def tidy(self, below: str) -> None:
        pass
