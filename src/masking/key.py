"""The secret of the hashes: made once, kept beside the lake in a file that its owner alone reads.

It is in no backup. Whoever has a backup has the values themselves; but with it hashes that were given away could be
tried out. Where it is lost a new one is made, and hashes of before and after are not comparable.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from src import store

_FILE = Path(".masking") / "key"
_BYTES = 32


def read_key(data: Path) -> str | None:
    """Return the secret of the lake at `data`; made where there is none, and None where it can be neither."""
    path = data / _FILE
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError:
        return None  # of another user: the hashes are null then
    try:
        if store.is_remote(data):
            store.create(path, secrets.token_hex(_BYTES).encode())  # of two that make one at once, the first counts
            return _read(path)
        if not data.is_dir():
            return None
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f"key.{os.getpid()}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_hex(_BYTES))
        try:
            os.link(part, path)  # of two that make one at once, the first counts
        except FileExistsError:
            pass
        finally:
            part.unlink()
        return _read(path)
    except OSError:
        return None


def _read(path: Path) -> str | None:
    text = path.read_text(encoding="ascii").strip()
    return text if len(text) == 2 * _BYTES else None
