"""The line of a project's requirements.txt that pins the product, so that the same code can be installed again.

A wheel is pinned by its version, and where it came from a folder, that folder is named too: to upgrade is to put the
next wheel there and to raise the number. A clone is pinned by its commit where the remote has it, else by its folder.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from src import __version__

NAME = "boathouse"


def lines(product: Path) -> str:
    """Return the lines of requirements.txt that pin the product, whose main.py lies in `product`."""
    if (product / "pyproject.toml").is_file():
        return _clone(product)
    return _installed()


def _installed() -> str:
    """Pin a wheel, by what the installer recorded of where it came from."""
    version, recorded = f"{NAME}=={__version__}", None
    with suppress(metadata.PackageNotFoundError):
        installed = metadata.distribution(NAME)
        version, recorded = f"{NAME}=={installed.version}", installed.read_text("direct_url.json")
    if recorded is None:  # from a package index
        return f"# To upgrade: raise the number, then `make setup`.\n{version}"
    origin = json.loads(recorded)
    url = str(origin["url"])
    if revision := origin.get("vcs_info", {}).get("commit_id"):
        return f"# To upgrade: write a later commit or tag, then `make setup`.\n{NAME} @ git+{url}@{revision}"
    if not url.startswith("file:"):
        return f"# To upgrade: write the address of a later wheel, then `make setup`.\n{NAME} @ {url}"
    path = Path(unquote(urlsplit(url).path))
    if path.suffix != ".whl":
        return f"# Installed from the folder below, as it is there; `make setup` installs it again.\n{NAME} @ {url}"
    note = "# To upgrade: put the next wheel into the folder below, raise the number, then `make setup`."
    return f"{note}\n--find-links {path.parent.as_uri()}\n{version}"


def _clone(product: Path) -> str:
    """Pin a clone: by its commit where others can fetch it, else by its folder."""
    remote, commit = _git(product, "remote", "get-url", "origin"), _git(product, "rev-parse", "HEAD")
    published = _git(product, "branch", "--remotes", "--contains", "HEAD")
    if remote and commit and published and not _is_local(remote):
        note = "# A commit of the product's repository. To upgrade: write a later one, then `make setup`."
        return f"{note}\n{NAME} @ git+{_as_url(remote)}@{commit}"
    note = (
        f"# The product as it is in this folder of this machine (version {__version__}): its commit is published\n"
        "# nowhere that others can fetch it from. To upgrade: `git pull` there, then `touch requirements.txt` and\n"
        "# `make setup`. For other machines write a wheel (`make wheel` there) or a git address instead."
    )
    return f"{note}\n{NAME} @ {product.as_uri()}"


def _is_local(remote: str) -> bool:
    return remote.startswith(("/", ".", "file:"))


def _as_url(remote: str) -> str:
    """Return git's address as pip takes it: user@host:path is ssh://user@host/path."""
    if "://" in remote:
        return remote
    host, _, path = remote.partition(":")
    return f"ssh://{host}/{path}"


def _git(folder: Path, *arguments: str) -> str:
    """Return what git says of a folder; nothing where it is no repository or there is no git."""
    try:
        ran = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""
