"""CONTRIBUTING.md: every file, test and name that it sends a reader to is there."""

from __future__ import annotations

import re

from conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([^`\n]+)`", PAGE)


def test_every_file_and_link_of_the_page_is_there() -> None:
    files = [name for name in NAMED if re.fullmatch(r"[\w./-]+\.(py|md|txt)|Makefile|[\w/]+/", name)]
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "//" not in link]
    assert len(files) > 15 and links
    assert [name for name in (*files, *links) if not (ROOT / name).exists()] == []


def test_every_name_of_the_page_is_in_the_code() -> None:
    """Names of functions, classes, constants and tests; SQL words and file names aside."""
    names = [name.partition("(")[0] for name in NAMED if re.fullmatch(r"[A-Za-z_]\w*(\([\w, ]*\))?", name)]
    paths = [
        path for part in ("src", "tests") for path in (ROOT / part).rglob("*.py") if path.name != "test_contributing.py"
    ]
    code = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    wanted = {name for name in names if "_" in name or not name.islower() or "(" in name} - {"Makefile"}
    assert len(wanted) > 15
    assert {name for name in wanted if not re.search(rf"\b{name}\b", code)} == set()


def test_every_make_target_of_the_page_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = set(re.findall(r"(?:^|`)make ([a-z-]+)", PAGE, re.MULTILINE))
    assert asked and asked - targets == set()
