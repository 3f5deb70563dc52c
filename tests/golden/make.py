"""Make a golden lake: a small lake as a release of Boathouse writes it, for tests that open it with later code.

    git worktree add ../release v0.1.0          # any commit will do; it needs its requirements installed
    python tests/golden/make.py ../release tests/golden/0.1.0.tar.gz
    python tests/golden/make.py ../release tests/golden/before-0.1.0.tar.gz --plain    # commit fad7e38

`--plain`: without the options that came last before 0.1.0, `decimal` and `onConflict`.

The contracts are those of `tests/golden/src`, the files are below. The checkout's own contracts are removed, its
`main.py` runs after each delivery, and its backup is made after the second, before the last. What is packed is a
project: `src` (the contracts), `data` and `backups`. A golden lake is made once, by its release, and never again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDERS = "order_id;customer_id;day;amount;status;updated\n"
DELIVERIES = (
    {
        "shop/orders/1.csv": ORDERS
        + "1;1;2024-01-01;10,50;Open;1\n2;2;2024-01-01;20,00;open;1\n3;1;2024-01-02;30,00;open;1\n"
        + "4;2;2024-01-02;-1,00;open;1\nfive;2;2024-01-02;1,00;open;1\n",
        "shop/customers/1.ndjson": '{"customer_id": 1, "city": "Bonn", "changed_on": "2024-01-01"}\n'
        '{"customer_id": 2, "city": "Oslo", "changed_on": "2024-01-01"}\n',
    },
    {
        # a correction, a deletion, a late row of an earlier day, a row that moves to another day, one sent again
        "shop/orders/2.csv": ORDERS
        + "1;1;2024-01-01;11,50;shipped;2\n2;2;2024-01-01;20,00;Deleted;2\n6;2;2024-01-01;7,25;open;1\n"
        + "3;1;2024-01-03;30,00;open;2\n7;1;2024-02-03;100,00;open;1\n7;1;2024-02-03;100,00;open;1\n",
        "shop/customers/2.ndjson": '{"customer_id": 1, "city": "Trier", "changed_on": "2024-01-03"}\n',
    },
    {
        "shop/orders/3.csv": ORDERS
        + "8;2;2024-02-04;5,00;open;1\n2;2;2024-01-01;20,00;open;1\n9;x;2024-02-04;1;open;1\n",
        "shop/customers/3.ndjson": '{"customer_id": 3, "city": "Lima", "changed_on": "2024-02-01"}\n',
    },
)
_BACKUP_AFTER = 2  # deliveries
_DECIMAL = ', customProperties: [{property: decimal, value: ","}]'
_COMMA = re.compile(r";(-?\d+),(\d\d);")


def main(checkout: Path, packed: Path, plain: bool) -> None:
    """Make the lake in a checkout of the release, and pack it."""
    data, backups = checkout / "data", checkout / "backups"
    contracts = checkout / "contracts"
    for layer in ("silver", "gold"):
        for folder in (checkout / "src" / layer).iterdir():
            if folder.is_dir() and (any(folder.glob("*.yaml")) or folder.name == "__pycache__"):
                shutil.rmtree(folder)
    for folder in (data, backups):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "src", contracts)
    if plain:
        orders = contracts / "silver/shop/orders.yaml"
        lines = orders.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for line in lines if "onConflict" not in line)
        orders.write_text(kept.replace(_DECIMAL, ""), encoding="utf-8")
    shutil.copytree(contracts, checkout / "src", dirs_exist_ok=True)
    for number, files in enumerate(DELIVERIES, start=1):
        for name, text in files.items():
            path = data / "landing" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_COMMA.sub(r";\1.\2;", text) if plain else text, encoding="utf-8")
        _run(checkout, "main.py")
        if number == _BACKUP_AFTER:
            _run(checkout, "-m", "src.maintenance.backup")
    packed.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(packed, "w:gz") as archive:
        for folder, name in ((contracts, "src"), (data, "data"), (backups, "backups")):
            archive.add(folder, name)
    shutil.rmtree(contracts)


def _run(checkout: Path, *words: str) -> None:
    environ = {"PATH": os.environ["PATH"], "USER": "golden", "SETTLE_SECONDS": "0", "SAMPLE_FEED": "false"}
    subprocess.run([sys.executable, *words], cwd=checkout, env=environ, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), "--plain" in sys.argv)
