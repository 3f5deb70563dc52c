"""setup.sh: it checks before it changes anything, finishes what is half-made, and is quick when nothing is to do.

It runs on a copy with empty requirements, so no test needs the network. PATH is a folder of links, so what
is missing can be chosen; `uv` there is a stand-in that records its calls and makes the smallest venv.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
TOOLS = (
    *("bash", "cat", "chmod", "dirname", "expand", "flock", "git", "grep", "head", "install", "make"),
    *("mkdir", "mv", "rm", "sed", "sha256sum", "sleep", "sort"),
)
EXTRAS = ("connectors", "page", "notebook", "ml", "spark", "s3", "lineage")
UV = f"""#!/bin/bash
echo "$*" >> calls
case $1 in
    venv)
        mkdir -p .venv/bin
        printf '#!/bin/bash\\nexec {PYTHON} "$@"\\n' > .venv/bin/python
        chmod +x .venv/bin/python
        ;;
    pip)
        [[ -e slow ]] && sleep 0.5
        [[ ! -e offline ]]
        ;;
esac
"""
OLD_PYTHON = """#!/bin/bash
[[ $2 == *version_info* ]] && echo 3.9.2
"""
# A python whose venv holds a pip that prints what pip prints, with a wait in it.
PIP = f"""#!/bin/bash
if [[ $1 == -m && $2 == venv ]]; then
    mkdir -p .venv/bin
    cp {{}} .venv/bin/python
    cp {{}} .venv/bin/pip
    exit
fi
[[ $* == *"-m pip install"* ]] || exec {PYTHON} "$@"
echo "Collecting duckdb==2.0.0 (from -r requirements.txt (line 9))"
echo "  Downloading duckdb-2.0.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (14 kB)"
echo "  Downloading duckdb-2.0.0-cp311-cp311-manylinux_2_28_x86_64.whl (24.4 MB)"
sleep 1.2
echo "  Using cached python_calamine-0.9.1-cp311-cp311-manylinux2014_x86_64.whl (959 kB)"
echo "Installing collected packages: duckdb, python-calamine"
echo "Successfully installed duckdb-2.0.0 python-calamine-0.9.1"
if [[ -e offline ]]; then echo "ERROR: no route to host" >&2; exit 1; fi
"""
NO_ENSUREPIP = f"""#!/bin/bash
[[ $* == *ensurepip* ]] && exit 1
exec {PYTHON} "$@"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what setup.sh needs, in a folder whose name has a blank."""
    project = tmp_path / "my house"
    project.mkdir()
    for name in ("setup.sh", ".env.example", "Makefile"):
        shutil.copy(PROJECT / name, project)
    (project / "requirements.txt").write_text("# nothing\n")
    for extra in EXTRAS:
        (project / f"requirements-{extra}.txt").write_text("# nothing\n")
    (project / "requirements-dev.txt").write_text("-r requirements.txt\n")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, f"this test needs {tool}"
        (bin_ / tool).symlink_to(found)
    (bin_ / "python3").symlink_to(PYTHON)
    script(bin_ / "uv", UV)
    return project


def script(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def bin_of(project: Path) -> Path:
    return project.parent / "bin"


def start(project: Path, *options: str) -> subprocess.Popen[str]:
    environ = {"PATH": str(bin_of(project)), "HOME": str(project), "TERM": "xterm"}
    command = [str(project / "setup.sh"), *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environ, cwd="/", stdout=pipe, stderr=pipe, text=True)


def setup(project: Path, *options: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call, made from another folder."""
    process = start(project, *options)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def cpu_seconds() -> float:
    """What this process's children have used so far; unlike the clock, not a matter of what else runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def calls(project: Path) -> list[str]:
    """The first words of uv's calls so far; forgets them."""
    record = project / "calls"
    words = [line.split()[0] for line in record.read_text().splitlines()] if record.exists() else []
    record.unlink(missing_ok=True)
    return words


def tree(project: Path) -> list[str]:
    return sorted(str(path.relative_to(project)) for path in project.rglob("*"))


def test_a_fresh_folder_becomes_ready_and_the_next_command_is_named(project: Path) -> None:
    code, out, err = setup(project)
    assert (code, out) == (0, "next: make pipeline\n")
    assert "making .venv with python3" in err
    assert (project / "data" / "landing").is_dir()
    assert [stat.S_IMODE((project / name).stat().st_mode) for name in ("data", "logs")] == [0o750, 0o750]
    assert (project / ".env").read_text() == (PROJECT / ".env.example").read_text()
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    assert calls(project) == ["venv", "pip"]
    assert sorted(path.name for path in project.glob(".env*")) == [".env", ".env.example"]


def test_a_repeat_is_quiet_quick_and_changes_nothing(project: Path) -> None:
    setup(project)
    calls(project)
    before = tree(project)
    spent = cpu_seconds()
    assert setup(project, "--quiet") == (0, "", "")
    assert cpu_seconds() - spent < 0.3  # 0.02 s, and as long by the clock where nothing else runs
    assert setup(project) == (0, "next: make pipeline\n", "setup: ✓ nothing to do\n")
    assert tree(project) == before
    assert calls(project) == []


def test_quiet_never_writes_to_stdout(project: Path) -> None:
    code, out, err = setup(project, "--quiet", "--dev")
    assert (code, out) == (0, "")
    assert "installing requirements-dev.txt" in err


@pytest.mark.long
def test_without_uv_it_uses_the_venv_module_and_pip(project: Path) -> None:
    (bin_of(project) / "uv").unlink()
    code, out, err = setup(project)
    assert (code, out) == (0, "next: make pipeline\n"), err
    assert (project / ".venv" / "bin" / "pip").exists()
    assert setup(project, "--quiet") == (0, "", "")


def with_pip(project: Path) -> None:
    """Let the project be set up by the pip that prints what pip prints; its requirements say how much there is."""
    (bin_of(project) / "uv").unlink()
    (bin_of(project) / "cp").symlink_to(str(shutil.which("cp")))
    script(bin_of(project) / "python3", PIP.format(*[bin_of(project) / "python3"] * 2))
    (project / "requirements.txt").write_text("# With all, ./setup.sh fetches 2 packages, about 25 MB (measured).\n")


def test_it_says_how_much_it_fetches_and_then_each_package_in_a_line(project: Path) -> None:
    with_pip(project)
    code, out, err = setup(project)
    assert (code, out) == (0, "next: make pipeline\n"), err
    assert err.splitlines()[:-1] == [
        "setup: making .venv with python3",
        "setup: installing requirements.txt: 2 packages, about 25 MB to download",
        "setup:   1: duckdb (24.4 MB)",
        "setup:   2: python_calamine (959 kB)",
        "setup:   unpacking",
        "setup: copying .env.example to .env",
    ]
    (project / "requirements.txt").write_text((project / "requirements.txt").read_text() + "# another pin\n")
    assert "setup: installing requirements.txt: what is new of 2 packages, about 25 MB\n" in setup(project)[2]


def test_on_a_terminal_the_package_being_fetched_ticks_in_one_line(project: Path) -> None:
    with_pip(project)
    ours, theirs = os.openpty()
    environ = {"PATH": str(bin_of(project)), "HOME": str(project), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen([str(project / "setup.sh")], env=environ, stdout=subprocess.DEVNULL, stderr=theirs):
        pass
    os.close(theirs)
    sent = b""
    with suppress(OSError), open(ours, "rb", buffering=0) as terminal:  # a terminal that nobody holds is an error
        while more := terminal.read(1 << 16):
            sent += more
    shown = sent.decode()
    assert re.search(r"\r\x1b\[Ksetup:   1: duckdb \(24\.4 MB\), \d s\r\x1b\[Ksetup:   1: duckdb", shown)
    assert "\r\x1b[Ksetup: copying .env.example to .env\r\n" in shown
    assert shown.endswith(" s\r\n") and "setup: ✓ ready after" in shown


def test_a_pip_that_fails_is_a_failure_and_its_own_words_are_shown(project: Path) -> None:
    with_pip(project)
    (project / "offline").touch()
    code, out, err = setup(project)
    assert (code, out) == (1, "")
    assert "ERROR: no route to host\n" in err
    assert "error: requirements.txt could not be installed\n" in err


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-page.txt"])
def test_the_number_of_packages_it_says_is_the_number_that_is_installed(name: str) -> None:
    """It may differ by a few between versions of Python and kinds of machine."""
    said = re.search(r"fetches (\d+) packages, about \d+ MB", (PROJECT / name).read_text())
    assert said
    assert abs(int(said[1]) - len(installed(PROJECT / name))) <= 4


def needed(name: str) -> list[str]:
    """What a package needs; nothing where it is not installed here."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def installed(path: Path) -> set[str]:
    """Every package that a requirement file brings along, itself or by others."""
    found: set[str] = set()
    waiting = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    while waiting:
        line = waiting.pop()
        if line.startswith("-r "):
            found |= installed(path.with_name(line.removeprefix("-r ")))
        elif line:
            requirement = Requirement(line)
            extras = [{"extra": extra} for extra in ("", *requirement.extras)]
            name = canonicalize_name(requirement.name)
            if name not in found:
                found.add(name)
                needs = map(Requirement, needed(name))
                wanted = [n for n in needs if not n.marker or any(n.marker.evaluate(extra) for extra in extras)]
                waiting += [str(Requirement(f"{n.name}[{','.join(n.extras)}]")) for n in wanted]
    return found


def test_an_env_file_that_is_there_is_never_overwritten(project: Path) -> None:
    (project / ".env").write_text("THREADS=1\n")
    setup(project)
    assert (project / ".env").read_text() == "THREADS=1\n"


@pytest.mark.parametrize(
    ("missing", "missing_text", "packages"),
    [
        (("make",), "make", "make"),
        (("git", "make"), "make, git", "make git"),
        (("python3",), "python3 3.11 or newer", "python3 python3-venv"),
        (("python3", "make"), "make, python3 3.11 or newer", "make python3 python3-venv"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_changed(
    project: Path, missing: tuple[str, ...], missing_text: str, packages: str
) -> None:
    for tool in missing:
        (bin_of(project) / tool).unlink()
    before = tree(project)
    assert setup(project) == (1, "", f"error: missing: {missing_text}\n  fix:   sudo apt-get install {packages}\n")
    assert tree(project) == before


def test_a_python_that_is_too_old_is_named_with_its_version(project: Path) -> None:
    script(bin_of(project) / "python3", OLD_PYTHON)
    code, _, err = setup(project)
    assert code == 1
    assert "missing: python3 3.11 or newer (python3 is 3.9.2)\n" in err
    assert "apt-get install python3.11 python3.11-venv\n" in err


def test_a_newer_python_beside_an_old_one_is_found(project: Path) -> None:
    script(bin_of(project) / "python3", OLD_PYTHON)
    (bin_of(project) / "python3.11").symlink_to(PYTHON)
    code, _, err = setup(project)
    assert code == 0
    assert "making .venv with python3.11" in err


def test_a_missing_venv_module_is_named_unless_uv_is_there(project: Path) -> None:
    script(bin_of(project) / "python3", NO_ENSUREPIP)
    uv = bin_of(project) / "uv"
    uv.rename(uv.with_name("hidden"))
    before = tree(project)
    error = "error: missing: python3's venv module\n  fix:   sudo apt-get install python3-venv\n"
    assert setup(project) == (1, "", error)
    assert tree(project) == before
    uv.with_name("hidden").rename(uv)
    assert setup(project)[0] == 0


def test_changed_requirements_are_installed_once_more_into_the_same_venv(project: Path) -> None:
    setup(project)
    calls(project)
    (project / "requirements.txt").write_text("# something else\n")
    setup(project)
    assert calls(project) == ["pip"]
    setup(project)
    assert calls(project) == []


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_an_extra_needs_is_kept_once_it_was_asked_for(project: Path, extra: str) -> None:
    setup(project)
    calls(project)
    assert setup(project, f"--{extra}")[:2] == (0, "next: make pipeline\n")
    assert calls(project) == ["pip"]
    assert setup(project, "--quiet") == setup(project, f"--{extra}", "--quiet") == (0, "", "")
    for name in ("requirements.txt", f"requirements-{extra}.txt"):
        (project / name).write_text("# another pin\n")
        assert f"installing requirements-{extra}.txt" in setup(project, "--quiet")[2]
        assert setup(project, "--quiet") == (0, "", "")
    calls(project)
    assert setup(project, "--dev", "--quiet")[0] == 0
    assert setup(project, "--quiet") == (0, "", "")  # those of development have them all
    assert calls(project) == ["pip"]


def test_extras_come_on_top_of_each_other(project: Path) -> None:
    assert setup(project, "--connectors", "--page")[0] == 0
    assert setup(project, "--notebook")[0] == 0
    assert "-r requirements-connectors.txt" in (project / "calls").read_text().splitlines()[-1]
    assert setup(project, "--quiet", "--page") == setup(project, "--quiet", "--connectors") == (0, "", "")


def test_what_development_includes_is_not_installed_again_for_an_extra(project: Path) -> None:
    setup(project, "--dev")
    calls(project)
    for extra in ("connectors", "page"):
        assert setup(project, "--quiet", f"--{extra}") == (0, "", "")
    assert calls(project) == []
    assert setup(project, "--notebook")[0] == 0
    assert calls(project) == ["pip"]


def test_development_requirements_come_on_top_and_answer_for_both(project: Path) -> None:
    setup(project)
    calls(project)
    assert setup(project, "--dev")[:2] == (0, "next: make test\n")
    assert calls(project) == ["pip"]
    assert setup(project, "--quiet") == setup(project, "--quiet", "--dev") == (0, "", "")
    (project / "requirements-dev.txt").write_text("# other tools\n")
    assert setup(project, "--quiet") == (0, "", "")
    setup(project, "--dev")
    assert calls(project) == ["pip"]


@pytest.mark.parametrize("breakage", ["stamp", "python", "other python"])
def test_a_half_made_or_broken_venv_is_made_anew(project: Path, breakage: str) -> None:
    setup(project)
    calls(project)
    stray = project / ".venv" / "stray"
    stray.touch()
    if breakage == "stamp":
        (project / ".venv" / ".ready").unlink()
    elif breakage == "python":
        (project / ".venv" / "bin" / "python").unlink()
    else:
        script(project / ".venv" / "bin" / "python", OLD_PYTHON)
    assert setup(project)[0] == 0
    assert calls(project) == ["venv", "pip"]
    assert not stray.exists()


def test_an_installation_that_fails_says_so_and_is_made_again(project: Path) -> None:
    (project / "offline").touch()
    code, out, err = setup(project)
    assert (code, out) == (1, "")
    assert "error: requirements.txt could not be installed\n  fix:   see the lines above" in err
    (project / "offline").unlink()
    calls(project)
    assert setup(project)[0] == 0
    assert calls(project) == ["venv", "pip"]


def test_an_upgrade_cut_short_is_not_taken_for_the_venv_it_began_with(project: Path) -> None:
    setup(project)
    (project / "requirements.txt").write_text("# newer\n")
    (project / "offline").touch()
    assert setup(project)[0] == 1
    (project / "requirements.txt").write_text("# nothing\n")
    (project / "offline").unlink()
    calls(project)
    assert setup(project)[0] == 0
    assert calls(project) == ["venv", "pip"]


def test_two_at_once_install_once(project: Path) -> None:
    (project / "slow").touch()
    both = [start(project), start(project)]
    ended = [(process.communicate(timeout=600), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    assert calls(project) == ["venv", "pip"]


@pytest.mark.parametrize("option", ["--fast", "page", "--", ""])
def test_an_unknown_option_is_refused(project: Path, option: str) -> None:
    code, _, err = setup(project, option)
    assert code == 2
    assert f"error: unknown option {option}\n" in err
    assert not (project / ".venv").exists()


def test_help_is_the_head_of_the_script(project: Path) -> None:
    code, out, _ = setup(project, "--help")
    assert code == 0
    assert out.startswith("Makes this folder ready to run")
    assert "set -euo" not in out


def outside_make() -> dict[str, str]:
    """The environment without what a make that runs these tests says to one below it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def test_make_hands_sql_over_as_it_was_typed(project: Path) -> None:
    setup(project)
    script(project / ".venv" / "bin" / "python", '#!/bin/bash\nprintf "[%s]" "$@"\n')
    script(project / "setup.sh", "#!/bin/bash\n")
    sql = "select '$x', \"it's\", $(shell echo no), `id`, $$\nfrom t -- 100 %"
    command = ["make", "query", f"SQL={sql}", "FORMAT=csv"]
    result = subprocess.run(command, cwd=project, env=outside_make(), capture_output=True, text=True, check=True)
    assert result.stdout == f"[main.py][query][--format=csv][--][{sql}]"


def test_make_alone_lists_every_target_a_person_types(project: Path) -> None:
    listed = subprocess.run(
        ["make"], cwd=project, env=outside_make(), capture_output=True, text=True, check=True
    ).stdout
    makefile = (project / "Makefile").read_text()
    phony = [line.split()[1:] for line in makefile.splitlines() if line.startswith(".PHONY:")]
    typed = {target for line in phony for target in line} - {"ready", "ready-dev", "ready-page", "ready-ml"}
    assert {line.split()[1] for line in listed.splitlines() if line.startswith("  make ")} == typed
