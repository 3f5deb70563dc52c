"""The package: it installs beside anything, runs without the repository, and a higher version rebuilds nothing.

The environments made here are new and empty but for the product: its libraries are lent by the Python that runs the
tests, so that nothing is fetched.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from src import __version__
from src.commands import names

LATER = "99.0.0"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="no hatchling, which builds the package: ./setup.sh --dev"
)


def built(folder: Path, version: str = __version__) -> Path:
    """Build the wheel of the product as it stands here, under another version where one is given."""
    product = folder / f"product-{version}"
    product.mkdir()
    for name in ("boathouse", "src"):
        shutil.copytree(ROOT / name, product / name, ignore=shutil.ignore_patterns("__pycache__"))
    extras = [path.name for path in ROOT.glob("requirements-*.txt")]
    for name in ("main.py", "pyproject.toml", "requirements.txt", *extras, "README.md", "LICENSE"):
        shutil.copy(ROOT / name, product)
    package = product / "src/__init__.py"
    package.write_text(package.read_text().replace(f'"{__version__}"', f'"{version}"'))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=product, check=True, capture_output=True)
    shutil.rmtree(product)  # what runs from here on runs without it
    return folder / f"boathouse-{version}-py3-none-any.whl"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


def install(environment: Path, wheel: Path) -> None:
    """Install one wheel and nothing else, by whichever installer there is."""
    python = str(environment / "bin/python")
    if importlib.util.find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-compile"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--python", python, "--offline"]
    else:
        pytest.skip("neither pip nor uv is here to install a wheel")
    subprocess.run([*installer, "--quiet", "--no-deps", str(wheel)], check=True, capture_output=True)


def make_environment(folder: Path, wheel: Path) -> None:
    """Make a new environment with the product in it."""
    venv.create(folder, symlinks=True)
    (site(folder) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install(folder, wheel)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    folder = tmp_path_factory.mktemp("installed") / "environment"
    make_environment(folder, wheel)
    return folder


def site(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


RunCommand = Callable[..., str]

# Several commands in one process of the installed product: each is imported and run as if it were typed alone.
EACH = """
import shlex, sys
from pathlib import Path
from boathouse.__main__ import main
program = str(Path(sys.executable).with_name("boathouse"))
for words in sys.argv[1:]:
    sys.argv = [program, *shlex.split(words)]
    if code := main():
        sys.exit(f"{words}: {code}")
"""


@pytest.fixture
def run_command(environment: Path, tmp_path: Path) -> RunCommand:
    return commands_of(environment, tmp_path)


def commands_of(environment: Path, home: Path) -> RunCommand:
    """What types a command of an installed product in a folder: it gives what is printed, and insists on the code."""

    def run(folder: Path, *words: str, code: int = 0, program: tuple[str, ...] = ("boathouse",)) -> str:
        command = [str(environment / "bin" / program[0]), *program[1:], *words]
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "SETTLE_SECONDS": "0", "LANG": "C.UTF-8"}
        ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        assert ran.returncode == code, f"{words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    return run


# -- what is in it


def test_everything_lies_in_one_folder_and_nothing_of_the_sample_company_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
        (metadata,) = (name for name in inside if name.endswith("/METADATA"))
        needed = re.findall(r"^Requires-Dist: (\S+)$", archive.read(metadata).decode(), re.MULTILINE)
    assert {name.split("/")[0] for name in inside} == {"boathouse", f"boathouse-{__version__}.dist-info"}
    assert {"boathouse/main.py", "boathouse/src/bronze/ingest.py"} <= set(inside)
    contracts = {name for name in inside if name.endswith((".yaml", ".sql"))}
    assert {name.split("/")[2:4] == ["init", "sample"] for name in contracts} == {True}
    assert not [name for name in inside if "/tests/test_" in name]
    page = {f"boathouse/{path.relative_to(ROOT)}" for path in (ROOT / "src/page").glob("[st]*/*.*")}
    assert {"boathouse/src/page/static/page.css", "boathouse/src/page/templates/base.html"} <= page
    assert page <= set(inside)
    pins = re.findall(r"^([\w-]+==\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert {name.lower() for name in needed} == {name.lower() for name in pins}


# -- it runs


def test_a_project_is_made_and_run_and_every_command_answers(run_command: RunCommand, tmp_path: Path) -> None:
    run_command(tmp_path, "init", "lake", "--sample")
    lake = tmp_path / "lake"
    assert "boathouse @ " not in (lake / "requirements.txt").read_text()
    assert f"\nboathouse=={__version__}\n" in (lake / "requirements.txt").read_text()
    listed = run_command(lake, "--help")
    assert listed.startswith("usage: boathouse ")
    assert [name for name in names() if not re.search(rf"^    {name}\b", listed, re.MULTILINE)] == []
    assert "Pipeline Finished" in run_command(lake)
    assert "0 changed" in run_command(lake, "run")
    assert "86.90" in run_command(lake, "query", "SELECT * FROM gold.shop.daily_sales")
    each = (
        "status",
        "plan",
        "inspect",
        "report",
        "backup",
        "drill",
        "check",
        "repair",
        "optimize",
        "vacuum",
        "schema-version",
        "docs --check",
        "test",
        "alerts list",
        "quarantine list",
        "schedule",
        "rotate-logs",
        "rebuild --table gold.shop.daily_sales",
        "backfill --table silver.shop.orders --where quantity>0",
    )
    run_command(lake, "-c", EACH, *each, program=("python",))
    assert sorted(path.name for path in lake.iterdir() if path.is_dir()) == ["backups", "data", "logs", "src"]


def test_a_workbook_is_read_by_a_process_of_its_own(run_command: RunCommand, tmp_path: Path) -> None:
    import polars

    run_command(tmp_path, "init", "lake", "--sample")
    lake = tmp_path / "lake"
    contract = lake / "src/silver/shop/orders.yaml"
    contract.write_text(contract.read_text().replace("*.csv, format: csv", "*.xlsx, format: xlsx"))
    row = {"order_id": 1, "ordered_on": "2026-01-01", "product": "lamp", "quantity": 2, "price": 3, "updated_at": None}
    polars.DataFrame([row]).write_excel(lake / "data/landing/shop/orders/one.xlsx")
    run_command(lake, "run")
    assert (
        run_command(lake, "query", "SELECT revenue FROM gold.shop.daily_sales", "--format", "csv") == "revenue\n6.00\n"
    )


def test_a_project_s_own_src_is_not_taken_for_the_product_s(
    run_command: RunCommand, environment: Path, tmp_path: Path
) -> None:
    run_command(tmp_path, "init", "lake")
    lake = tmp_path / "lake"
    for name in ("src", "src/bronze", "main", "boathouse"):
        (lake / name).mkdir(exist_ok=True)
        (lake / name / "__init__.py").write_text("raise SystemExit('this is not the product')\n")
    assert run_command(lake, "status")
    (lake / "boathouse/__init__.py").unlink()  # python -m looks into the working folder first
    assert run_command(lake, "status", program=("python", "-m", "boathouse"))


def test_the_project_is_the_working_folder_or_the_one_that_is_named(run_command: RunCommand, tmp_path: Path) -> None:
    run_command(tmp_path, "init", "lake")
    run_command(tmp_path, "status", code=2)
    run_command(tmp_path, "status", "--project", "lake")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake"]


@pytest.mark.long
def test_the_schedule_calls_the_program_and_a_job_its_commands_without_make(
    run_command: RunCommand, environment: Path, wheel: Path, tmp_path: Path
) -> None:
    run_command(tmp_path, "init", "lake", "--sample")
    lake = tmp_path / "lake"
    assert f" {environment / 'bin/boathouse'} jobs daily || " in run_command(lake, "schedule")
    make_environment(lake / ".venv", wheel)
    beside = run_command(lake, "schedule", program=(str(lake / ".venv/bin/boathouse"),))
    assert " .venv/bin/boathouse jobs daily || " in beside
    run_command(lake, "jobs", "daily")
    log = (lake / "logs/cron.log").read_text()
    assert re.findall(r"\| daily ([\w-]+) \| done", log) == ["rotate-logs", "run", "report"]
    assert "Pipeline Finished" in log


# -- it is upgraded


@pytest.mark.long
def test_a_higher_version_rebuilds_nothing(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"  # its own, as it changes
    make_environment(environment, wheel)
    run_command = commands_of(environment, tmp_path)
    run_command(tmp_path, "init", "lake", "--sample")
    lake = tmp_path / "lake"
    run_command(lake, "run")
    before = {path: path.stat().st_mtime_ns for path in (lake / "data/gold").rglob("*.parquet")}
    install(environment, built(tmp_path, LATER))
    assert (site(environment) / f"boathouse-{LATER}.dist-info").is_dir()
    assert not (site(environment) / f"boathouse-{__version__}.dist-info").exists()
    would = re.findall(r"^(?:bronze|silver|gold)\.\S+ +(\w+)", run_command(lake, "plan"), re.MULTILINE)
    assert would == ["nothing"] * 3
    assert "0 changed" in run_command(lake, "run")
    assert "every law holds" in run_command(lake, "check")
    assert before == {path: path.stat().st_mtime_ns for path in (lake / "data/gold").rglob("*.parquet")}
