"""Contracts that are kept are those that would be read; whatever of them changes is read, and errors are never kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ORDERS, ROOT, Lake

from src import contract
from src.contract import Contracts, kept
from src.errors import ContractError, ContractErrors
from src.lake import keep
from src.project import open_project


def again(root: Path, found: dict[str, Any]) -> tuple[Contracts, dict[str, Any]]:
    """What the next process has of contracts that were kept, and what it keeps instead of them."""
    contracts, _, new = contract.load_known(root, json.loads(json.dumps(found)))
    return contracts, new


def differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """Every value that is not the same in both, by its type too, also where a comparison leaves it out."""
    if type(one) is not type(other):
        yield f"{at}: {one!r} {other!r}"
    elif is_dataclass(one):
        for field in fields(one):
            yield from differences(getattr(one, field.name), getattr(other, field.name), f"{at}.{field.name}")
    elif isinstance(one, dict):
        yield from differences([*one.items()], [*other.items()], at)
    elif isinstance(one, list | tuple):
        yield from () if len(one) == len(other) else (f"{at}: {len(one)} {len(other)}",)
        for nth, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from differences(left, right, f"{at}[{nth}]")
    elif one != other:
        yield f"{at}: {one!r} {other!r}"


@pytest.mark.parametrize("root", [ROOT / "src", ROOT / "benchmarks/contracts"], ids=["shipped", "of the benchmarks"])
def test_what_is_kept_of_contracts_is_what_was_read_of_them_field_by_field(root: Path) -> None:
    contracts, found, new = contract.load_known(root, {})
    assert found and new
    known, more = again(root, new)
    assert more == {} and [*differences(contracts, known)] == []
    assert [*differences(contract.load(root), known)] == []


def test_contracts_that_are_kept_are_not_parsed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lake.shop().root / "src"
    contracts, _, new = contract.load_known(root, {})
    monkeypatch.delattr(kept, "load")
    assert again(root, new)[0] == contracts


CHANGES: dict[str, Callable[[Path], object]] = {
    "a contract": lambda root: (root / "silver/shop/orders.yaml").write_text(
        ORDERS.replace("version: 1.0.0", "version: 1.0.1"), encoding="utf-8"
    ),
    "the model of a mart": lambda root: (root / "gold/shop/daily.sql").write_text(
        "SELECT day, sum(amount) AS amount, count(*) AS orders FROM silver.shop.orders GROUP BY day -- so", "utf-8"
    ),
    "a model beside a contract": lambda root: (root / "silver/shop/orders.sql").write_text("SELECT 1", "utf-8"),
    "a seed": lambda root: _written(root / "silver/shop/seeds/shops.csv", "id\n1\n"),
    "what is no seed": lambda root: _written(root / "silver/shop/seeds/shops.txt", "id\n1\n"),
    "a mart that is begun": lambda root: (root / "gold/begun").mkdir(),
    "another domain": lambda root: _written(root / "silver/inn/orders.yaml", ORDERS.replace("shop", "inn")),
}


def _written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_of_the_contracts_changes_is_read(lake: Lake, what: str) -> None:
    root = lake.shop().root / "src"
    before, _, new = contract.load_known(root, {})
    CHANGES[what](root)
    after, more = again(root, new)
    assert [*differences(after, contract.load(root))] == [] and [*differences(before, after)] != []
    assert again(root, more) == (after, {})


def test_a_file_that_no_contract_takes_is_an_error_however_the_contracts_were_before(lake: Lake) -> None:
    root = lake.shop().root / "src"
    _, _, new = contract.load_known(root, {})
    (root / "gold/shop/stray.sql").write_text("SELECT 1", encoding="utf-8")
    for _ in range(2):  # it is not kept
        with pytest.raises(ContractErrors, match=r"stray\.sql belongs to no table"):
            again(root, new)
    (root / "gold/shop/stray.sql").unlink()
    assert again(root, new)[1] == {}


def test_text_and_times_that_are_the_same_are_the_same_contracts_and_the_same_times_are_not(lake: Lake) -> None:
    root = lake.shop().root / "src"
    _, _, new = contract.load_known(root, {})
    path = root / "silver/shop/orders.yaml"
    path.touch()
    assert again(root, new)[1] == {}
    facts = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("1.0.0", "1.0.1"), encoding="utf-8")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert again(root, new)[0].silver["silver.shop.orders"].version == "1.0.1"


def test_another_release_of_the_product_reads_contracts_anew(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lake.shop().root / "src"
    _, _, new = contract.load_known(root, {})
    monkeypatch.setattr(kept, "_reader", lambda: "another")
    assert again(root, new)[1] != {}


def test_what_is_kept_of_a_project_goes_with_its_folder(lake: Lake, tmp_path: Path) -> None:
    root = lake.shop().root / "src"
    _, _, new = contract.load_known(root, {})
    moved = tmp_path / "elsewhere/src"
    shutil.copytree(root, moved)
    contracts, more = again(moved, new)
    assert more == {} and [*differences(contracts, contract.load(moved))] == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda kept: {},
        lambda kept: {"of": kept["of"]},
        lambda kept: {**kept, "contracts": []},
        lambda kept: {**kept, "contracts": {**kept["contracts"], "silver": {"dict": [["a", {"Table": {}}]]}}},
        lambda kept: {
            **kept,
            "contracts": {**kept["contracts"], "silver": {"dict": [["a", {"Popen": {"args": "x"}}]]}},
        },
        lambda kept: {**kept, "contracts": {**kept["contracts"], "notes": {"path": "../../etc/passwd"}}},
    ],
    ids=["nothing", "half", "another form", "a table without fields", "another class", "a path that leads away"],
)
def test_what_is_kept_and_not_whole_is_as_if_it_were_not_there(
    lake: Lake, harm: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    root = lake.shop().root / "src"
    contracts, _, new = contract.load_known(root, {})
    assert again(root, harm(new)) == (contracts, new)


def test_contracts_behind_a_link_are_read_each_time(lake: Lake, tmp_path: Path) -> None:
    root = lake.shop().root / "src"
    (root / "silver/shop").rename(tmp_path / "shop")
    (root / "silver/shop").symlink_to(tmp_path / "shop", target_is_directory=True)
    contracts, found, new = contract.load_known(root, {})
    assert [*contracts.silver] == ["silver.shop.orders"] and (found, new) == ("", {})


# -- in a project


def files(lake: Lake) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (lake.data / ".known").iterdir()}


def test_a_project_keeps_its_contracts_beside_its_lake_and_judges_its_models_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop().data.mkdir()
    with open_project(lake.settings) as project:
        first = project.contracts, project.marts
    assert not (lake.data / ".known").exists()  # who only looks changes nothing
    keep(lake.data)
    written = files(lake)
    assert {"contracts.json", "models.json"} <= written.keys()
    monkeypatch.delattr("src.contract.kept.load")
    monkeypatch.delattr("src.project._resolved")
    with open_project(lake.settings) as project:
        assert (project.contracts, project.marts) == first
    assert files(lake) == written


def test_a_model_that_is_no_sql_is_told_again_and_again(lake: Lake) -> None:
    lake.shop().write("gold/shop/daily.sql", "SELEC day FROM silver.shop.orders")
    for _ in range(2):
        with pytest.raises((ContractError, ContractErrors), match="SELEC"), open_project(lake.settings):
            pass


def test_what_somebody_else_can_have_written_is_not_taken(lake: Lake) -> None:
    lake.shop().data.mkdir()
    with open_project(lake.settings):
        keep(lake.data)
    file = lake.data / ".known/contracts.json"
    assert file.stat().st_mode & 0o022 == 0
    file.chmod(0o664)
    with open_project(lake.settings):
        keep(lake.data)
    assert file.stat().st_mode & 0o022 == 0  # read and kept anew


def test_a_lake_that_cannot_be_written_is_read_all_the_same(lake: Lake) -> None:
    lake.shop().data.mkdir()
    (lake.data / ".known").write_text("a file in its place", encoding="utf-8")
    with open_project(lake.settings) as project:
        assert [*project.contracts.silver] == ["silver.shop.orders"]
