"""Which files a feed's path takes: a glob below the landing zone, with its extension in any case and packed in any way.

`shop/orders/*.csv` takes 1.csv, 1.CSV, 1.csv.gz and 1.Csv.ZST, and what is called so in a .zip of that folder.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from src.errors import from_os_error

ARCHIVE = ".zip"
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}  # by the endings of packed files
_EXTENSION = re.compile(r"\.[A-Za-z0-9]+$")


def is_archive(name: str) -> bool:
    """Return whether a file's name says that it is an archive of files."""
    return name.lower().endswith(ARCHIVE)


class FilePattern:
    """A feed's path, and what it takes."""

    def __init__(self, path: str) -> None:
        self._folder, _, self._last = path.rpartition("/")

    @property
    def of_archives(self) -> bool:
        """Return whether the path names archives themselves: then it takes every file in them."""
        return is_archive(self._last)

    @property
    def only_folder(self) -> str | None:
        """Return the one folder of its files, relative to the landing zone; None where several may be."""
        return None if set("*?[") & set(self._folder) else self._folder

    @property
    def fixed_folder(self) -> str:
        """Return the innermost folder that all of its files are in, relative to the landing zone, "" for itself."""
        parts = self._folder.split("/") if self._folder else []
        return "/".join(itertools.takewhile(lambda part: not set("*?[") & set(part), parts))

    def find(self, landing: Path) -> set[Path]:
        """Return the files below the landing zone that may be the feed's: those of a name that fits, and archives.

        Raises:
            BoathouseError: a folder cannot be listed.
        """
        folders = landing.glob(self._folder) if self._folder else [landing]
        try:
            found = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
        except OSError as error:
            raise from_os_error(error, landing / self._folder) from error
        return {path for path in found if self._may_take(path.name)}

    def may_take(self, name: str) -> bool:
        """Return whether a file of this name, relative to the landing zone, may be the feed's, as `find` has it."""
        *folders, last = name.split("/")
        return self._is_folder(folders) and self._may_take(last)  # first what costs less: most differ by their folder

    def may_be_in(self, folder: str) -> bool:
        """Return whether files of this folder, relative to the landing zone and "" for itself, may be the feed's."""
        return self._is_folder(folder.split("/") if folder else [])

    def takes_member(self, name: str) -> bool:
        """Return whether a file of this name in an archive is the feed's; folders in the archive do not matter."""
        return self.of_archives or self._fits(re.split(r"[/\\]", name)[-1])

    def _may_take(self, name: str) -> bool:
        return self._fits(name) or (is_archive(name) and not self.of_archives)

    def _fits(self, name: str) -> bool:
        return _names(self._last).match(name) is not None

    def _is_folder(self, parts: Sequence[str]) -> bool:
        return _fit(parts, self._folder.split("/") if self._folder else [])


@cache  # most feeds of a project call their files alike
def _names(last: str) -> re.Pattern[str]:
    """Return what takes the files of a path that ends so."""
    packing = _EXTENSION.search(last)
    packed = packing is not None and packing[0].lower() in PACKED
    stem = last[: -len(packing[0])] if packing and packed else last
    own = _in_any_case(stem) + (_in_any_case(packing[0]) if packing and packed else "")
    names = [own, *(own + _in_any_case(ending) for ending in PACKED)]
    return re.compile("|".join(map(fnmatch.translate, names)))


def _in_any_case(name: str) -> str:
    """Return a glob that takes the extension of this one in any case."""
    found = _EXTENSION.search(name)
    if not found:
        return name
    letters = (f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else letter for letter in found[0])
    return name[: found.start()] + "".join(letters)


def _fit(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_fit(parts[at:], wanted[1:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _fit(parts[1:], wanted[1:])
