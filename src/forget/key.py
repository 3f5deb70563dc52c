"""The key of what is remembered of forgotten people: FORGET_KEY in `.env`, made at the first use.

Who has the key can try out who was forgotten, so it lies in no table and in no backup. Without it nobody can tell
whether a new file brings somebody back: then the feeds that this is about are not taken.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from src.engine import DuckEngine, literal
from src.errors import MachineError, from_os_error
from src.settings import ENV_FILE, Settings

NAME = "FORGET_KEY"
_BYTES = 32
_BLOCK = 64  # bytes of a block of SHA-256, of which HMAC is made (RFC 2104)
_INNER, _OUTER = "forget_inner", "forget_outer"  # variables of an engine


def read_key(settings: Settings) -> str | None:
    """Return the key of a project; None where it has none."""
    return settings.forget_key.text if settings.forget_key else None


def make_key(settings: Settings) -> str:
    """Write a new key into the project's `.env`, on disk when this returns; returns it.

    Raises:
        MachineError: there is no writing in the project's folder.
    """
    path: Path = settings.root / ENV_FILE
    made = secrets.token_hex(_BYTES)
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        gap = "" if not before or before.endswith("\n") else "\n"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{gap}# The key by which forgotten people are known again. Keep it, and keep it secret.\n")
            file.write(f"{NAME}={made}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise from_os_error(error, path) from error
    return made


def passing_key() -> str:
    """Return a key that nobody keeps."""
    return secrets.token_hex(_BYTES)


def check_value(key: str) -> str:
    """Return what tells one key from another, and nothing else of it."""
    return keyed_hash(key, NAME)[:16]


def keyed_hash(key: str, text: str) -> str:
    """Return the HMAC-SHA256 of a text as 64 hexadecimal digits."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def use(engine: DuckEngine, key: str) -> None:
    """Let `hash_sql` of this engine use a key; no statement shows it, as it is in variables."""
    block = key.encode() if len(key) <= _BLOCK else hashlib.sha256(key.encode()).digest()
    block = block.ljust(_BLOCK, b"\0")
    for name, pad in ((_INNER, 0x36), (_OUTER, 0x5C)):
        engine.execute(f"SET VARIABLE {name} = unhex({literal(bytes(byte ^ pad for byte in block).hex())})")


def hash_sql(text: str) -> str:
    """Return SQL of the HMAC-SHA256 of a text, as `keyed_hash` makes it."""
    inner = f"unhex(sha256(getvariable('{_INNER}') || encode({text})))"
    return f"sha256(getvariable('{_OUTER}') || {inner})"


def wrong_key(settings: Settings, feed: str, *, missing: bool) -> MachineError:
    """Return the error of a feed whose new files cannot be compared with what is remembered."""
    what = f"{NAME} is not set" if missing else f"{NAME} is not the key of what is remembered"
    fix = f"put the key back into {ENV_FILE}; where it is lost: `main.py forget --key-lost` lets all lines in again"
    return MachineError(f"{what}: nobody can tell whether {feed} brings somebody back", where=settings.root, fix=fix)
