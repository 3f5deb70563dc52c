"""Known advisories of the packages that the product is pinned to, as the index says that pip is configured with.

The index is asked for each pin (its JSON interface, `<index>/../pypi/<name>/<version>/json`, has `vulnerabilities`),
in bounded time, and its answer is kept for a day. An index that does not answer, or does not tell, is a reason why
nothing is known, and no error.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from src import store
from src.maintenance.command_line import PRODUCT

_KEPT = Path(".security.json")
_PATIENCE = 3.0  # seconds of one call
_MOST = 15.0  # seconds of all of them
_AT_ONCE = 8
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)", re.MULTILINE)
_LONGEST = 20_000_000  # bytes of an answer
_SWITCHED_OFF = ("1", "true", "yes", "on", "y", "t")


@dataclass(frozen=True)
class Advisory:
    """A known weakness of a pinned package; `fixed_in`: the versions without it, where the index knows them."""

    package: str
    version: str
    id: str
    summary: str
    fixed_in: tuple[str, ...]


@dataclass(frozen=True)
class Advisories:
    """The answer of the index about the pins; `not_asked`: why nothing is known, or not of all of them."""

    pins: int
    found: tuple[Advisory, ...] = ()
    not_asked: str | None = None


def read_advisories(data: Path, today: date, environ: Mapping[str, str] = os.environ) -> Advisories:
    """Return the known advisories of the product's pins, asked once a day at most."""
    pins = read_pins(PRODUCT)
    if not pins:
        return Advisories(0, not_asked="no pins beside the product: its packages are pinned where it was installed")
    kept = _kept(data, pins, today)
    if kept is not None:
        return kept
    index, why = _index(environ)
    found = _asked(index, pins) if index else Advisories(len(pins), not_asked=why)
    if found.not_asked is None:
        _keep(data, pins, today, found)
    return found


def read_pins(product: Path) -> tuple[tuple[str, str], ...]:
    """Return the packages that the requirement files of a folder pin, each with its version."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(product.glob("requirements*.txt")))
    return tuple(sorted({(name, version) for text in texts for name, version in _PIN.findall(text)}))


# -- the index


def _index(environ: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the address of the index that pip is configured with; None, and why, where there is none."""
    if environ.get("PIP_NO_INDEX", "").lower() in _SWITCHED_OFF:
        return None, "pip is configured to ask no index"
    if named := environ.get("PIP_INDEX_URL", ""):
        return named, ""
    code = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"  # which pip asks where nothing is set
    configured = _answer_of([sys.executable, "-m", "pip", "config", "list"], environ)
    if configured is None:
        return None, "there is no pip to tell which index"
    options = dict(re.findall(r"^\S*\.(no-index|index-url)='?(.*?)'?$", configured, re.MULTILINE))
    if options.get("no-index", "").lower() in _SWITCHED_OFF:
        return None, "pip is configured to ask no index"
    index = options.get("index-url") or (_answer_of([sys.executable, "-c", code], environ) or "").strip()
    return (index, "") if index else (None, "pip does not tell which index it asks")


def _answer_of(command: Sequence[str], environ: Mapping[str, str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST, env=dict(environ), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _asked(index: str, pins: Sequence[tuple[str, str]]) -> Advisories:
    parts = urlsplit(index)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return Advisories(len(pins), not_asked="the index that pip is configured with is no address of the web")
    until = time.monotonic() + _MOST
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        calls = [pool.submit(_one, index, name, version, until) for name, version in pins]
        answers = [call.result() for call in calls]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    silent = sum(one is None for one in answers)
    found = tuple(advisory for one in answers for advisory in one or ())
    why = f"the index that pip is configured with tells nothing of {silent} of {len(pins)} pins" if silent else None
    return Advisories(len(pins), found, why)


def _one(index: str, name: str, version: str, until: float) -> tuple[Advisory, ...] | None:
    """Return the advisories of one pin; None where the index does not tell, or time is over."""
    left = until - time.monotonic()
    if left <= 0:
        return None
    try:
        with urlopen(_request(index, name, version), timeout=min(_PATIENCE, left)) as answer:
            found = json.loads(answer.read(_LONGEST))
        return tuple(_advisory(name, version, one) for one in found["vulnerabilities"] if not one.get("withdrawn"))
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return None


def _request(index: str, name: str, version: str) -> Request:
    parts = urlsplit(index)
    path = f"{parts.path.rstrip('/').rpartition('/')[0]}/pypi/{name}/{version}/json"
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    headers = {"Accept": "application/json"}
    if parts.username:
        user = f"{parts.username}:{parts.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(user).decode()}"
    return Request(urlunsplit((parts.scheme, host or "", path, "", "")), headers=headers)


def _advisory(name: str, version: str, one: Mapping[str, object]) -> Advisory:
    fixed = one.get("fixed_in")
    text = " ".join(str(one.get("summary") or one.get("details") or "").split())
    names = tuple(map(str, fixed)) if isinstance(fixed, list) else ()
    return Advisory(name, version, str(one.get("id", "")), text[:200], names)


# -- kept for a day


def _kept(data: Path, pins: Sequence[tuple[str, str]], today: date) -> Advisories | None:
    try:
        kept = json.loads((store.beside(data) / _KEPT).read_text(encoding="utf-8"))
        if kept["day"] != today.isoformat() or kept["pins"] != [list(pin) for pin in pins]:
            return None
        found = (Advisory(**{**one, "fixed_in": tuple(one["fixed_in"])}) for one in kept["found"])
        return Advisories(len(pins), tuple(found))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(data: Path, pins: Sequence[tuple[str, str]], today: date, found: Advisories) -> None:
    """Keep an answer; where there is no writing the index is asked again next time."""
    folder = store.beside(data)
    if not folder.is_dir():
        return
    text = json.dumps({"day": today.isoformat(), "pins": pins, "found": [asdict(one) for one in found.found]})
    part = folder / f"{_KEPT}.{os.getpid()}.part"
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder / _KEPT)
    except OSError:
        part.unlink(missing_ok=True)
