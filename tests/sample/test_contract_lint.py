"""Every shipped contract, seen with a third party's eyes: `datacontract lint` must pass it as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, short

GOLD, SILVER = (sorted(ROOT.glob(f"src/{paths}")) for paths in ("gold/*/contract.yaml", "silver/*/*.yaml"))
BESIDE_PYTHON = Path(sys.executable).with_name("datacontract")
LINTER = str(BESIDE_PYTHON) if BESIDE_PYTHON.is_file() else shutil.which("datacontract")


def test_there_are_contracts_to_lint() -> None:
    assert GOLD and SILVER


@pytest.mark.skipif(LINTER is None, reason="no `datacontract` beside python or on PATH: ./setup.sh --dev brings it")
@pytest.mark.parametrize(
    "path", short([*GOLD[:1], *SILVER, *GOLD[1:]], 2), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_shipped_contract_passes_datacontract_lint(path: Path) -> None:
    assert LINTER is not None
    ran = subprocess.run([LINTER, "lint", str(path)], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
