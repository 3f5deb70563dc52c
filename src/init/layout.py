"""A project of one's own: a folder that holds contracts, settings and data, and of the product only a pin.

What the folder begins with lies as files beside this module, below `template/` and `sample/`. A file `dot-NAME` there
becomes `.NAME`, so that no tool takes a template for its own settings. Nothing that exists is ever overwritten.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from src import settings
from src.errors import UsageError, from_os_error
from src.init import pin

_HERE = Path(__file__).parent
_FOLDERS = ("data/landing", "logs")  # git keeps neither: what is in them never goes there
_PRIVATE = 0o600  # .env may come to hold credentials
_MOST_SHOWN = 8
_DAYS = ("2026-01-01", "2026-01-02")  # of the sample's files, which become the two days before the project is made


@dataclass(frozen=True)
class Plan:
    """A project that is to be made: its folder, the text of each file by its path from there, and empty folders."""

    root: Path
    files: dict[str, str]
    folders: tuple[str, ...] = _FOLDERS


def plan(root: Path, product: Path, today: date, *, sample: bool = False) -> Plan:
    """Return the files that make `root` a project.

    `product`: the folder with main.py, which the project's requirements.txt pins. `sample`: with one small domain; its
    files are of the two days before `today`.

    Raises:
        UsageError: `root` holds something already, or is no folder.
    """
    root = root.expanduser().absolute()
    _refuse_taken(root)
    files = _read("template") | (_sample(today) if sample else {})
    for name in ("README.md", "requirements.txt"):
        files[name] = files[name].replace("{name}", root.name).replace("{pin}", pin.lines(product))
    files[settings.ENV_EXAMPLE] = settings.env_template(sample_feed=False)
    files[settings.ENV_FILE] = files[settings.ENV_EXAMPLE]
    return Plan(root, files)


def execute(plan: Plan) -> None:
    """Write the files of a plan. Each is created, never replaced, should another have been quicker.

    Raises:
        MachineError: there is no writing in the folder.
        UsageError: a file has appeared there since the plan was made.
    """
    for name in plan.folders:
        _make(plan.root / name)
    for name, text in plan.files.items():
        path = plan.root / name
        _make(path.parent)
        try:
            mode = _PRIVATE if name == settings.ENV_FILE else 0o666
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
                stream.write(text)
        except FileExistsError:
            raise UsageError("a file that was not there before", where=path, fix="name a folder of its own") from None
        except OSError as error:
            raise from_os_error(error, path) from error


def _refuse_taken(root: Path) -> None:
    try:
        found = sorted(path.name for path in root.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise UsageError("a file, where a folder is to be", where=root, fix="name a new folder") from None
    except OSError as error:
        raise from_os_error(error, root) from error
    if found:
        more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        what = f"the folder is not empty; it has {', '.join(found[:_MOST_SHOWN])}{more}"
        raise UsageError(what, where=root, fix="name a new folder, or an empty one; nothing was written")


def _read(part: str) -> dict[str, str]:
    """Return the text of each file below one of the folders beside this module, by the path it will have."""
    folder = _HERE / part
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {
        path.relative_to(folder).as_posix().replace("dot-", "."): path.read_text(encoding="utf-8") for path in files
    }


def _sample(today: date) -> dict[str, str]:
    days = [f"{today - timedelta(days=back)}" for back in (2, 1)]

    def moved(text: str) -> str:
        for old, new in zip(_DAYS, days, strict=True):
            text = text.replace(old, new)
        return text

    files = _read("sample")
    landed = {moved(name): moved(text) for name, text in files.items() if name.startswith("data/")}
    return landed | {name: text for name, text in files.items() if not name.startswith("data/")}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_os_error(error, folder) from error
