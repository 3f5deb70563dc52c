"""Documents are rendered from what they describe; a stale one is a red test that names the command which fixes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Lake

import main
from src import documents, errors
from src.errors import BoathouseError, ContractErrors, UsageError
from src.project import open_project

MART = """
apiVersion: v3.1.0
kind: DataContract
id: gold.shop
name: Shop
version: 1.2.0
status: active
description:
  purpose: What was sold, at prices < 1,000.
  usage: Add it up.
  limitations: Without | tax.
team: {name: Sales, members: [{username: shop-office, name: The office, role: owner}]}
support: [{channel: "#shop", url: "https://example.com/shop"}]
slaProperties:
  - {property: frequency, value: 6, unit: h}
  - {property: latency, value: 1, unit: d, element: weekly.week}
  - {property: retention, value: 2, unit: y}
  - {property: generalAvailability, value: "2026-01-01"}
schema:
  - name: weekly
    description: Sales of each week.
    dataGranularityDescription: One row per week.
    properties:
      - name: week
        description: Its Monday.
        logicalType: date
        primaryKey: true
        required: true
        partitioned: true
        transformLogic: date_trunc('week', day)
      - {name: kind, logicalType: string, enum: [{value: a}, {value: b}], logicalTypeOptions: {pattern: "^a|b$"}}
      - name: amount
        logicalType: number
        physicalType: decimal(18,2)
        classification: internal
        unique: true
        logicalTypeOptions: {minimum: 0, exclusiveMaximum: 1000}
        quality:
          - {metric: nullValues, unit: percent, mustBeLessOrEqualTo: 5, severity: warning}
          - {metric: invalidValues, arguments: {validValues: [1, 2], pattern: "^[0-9]"}, mustBeBetween: [0, 3]}
    quality:
      - {type: text, description: The office looks at it.}
      - {type: sql, description: "No loss.", query: "select count(*) from ${object} where amount < 0", mustBe: 0}
      - {metric: duplicateValues, arguments: {properties: [week, kind]}, mustBe: 0, dimension: uniqueness}
      - {metric: rowCount, mustBeGreaterThan: 0}
    customProperties: [{property: lookback, value: 2}]
"""
WEEKLY = "SELECT day AS week, 'a' AS kind, amount FROM silver.shop.orders"
RENDERED = """\
# Shop

<!-- Rendered from contract.yaml by `make docs`: change the contract, not this file. -->

- **Owner:** The office (Sales)
- **Refresh rate:** every 6 hours
- **Support:** #shop (https://example.com/shop)
- **Version:** 1.2.0 (active)
- **Tables:** `gold.shop.weekly`

## Business definition

What was sold, at prices &lt; 1,000.

## Usage

Add it up.

## Limitations

Without | tax.

## weekly

Sales of each week.

- **Grain:** One row per week.
- **Key:** `week`
- **Partitioned by:** `week`, computed as `date_trunc('week', day)`
- **Reads:** `silver.shop.orders`
- **Recomputed:** the partitions whose rows changed in a table it reads and the 2 that follow
- **Service levels:** renewed every 6 hours; at most 1 day old, measured by `week`; kept for 2 years; \
generalAvailability 2026-01-01

| column | type | meaning | required | rules | classification |
| --- | --- | --- | --- | --- | --- |
| `week` | date | Its Monday. | yes |  |  |
| `kind` | varchar |  |  | matches `^a\\|b$`, one of a, b |  |
| `amount` | decimal(18,2) |  |  | at least 0, less than 1000, unique | internal |

Quality expectations:

| expectation | measured | severity |
| --- | --- | --- |
| No loss. | `select count(*) from gold.shop.weekly where amount < 0` is 0 | error |
| (uniqueness) | the number of rows that repeat the value of `week`, `kind` is 0 | error |
|  | the number of rows is greater than 0 | error |
|  | the percentage of rows without a value in `amount` is at most 5 | warning |
|  | the number of rows whose `amount` is not one of 1, 2 and like `^[0-9]` is between 0 and 3 | error |
| The office looks at it. | by a person |  |
"""


def write(lake: Lake) -> None:
    with open_project(lake.settings) as opened:
        documents.write(lake.root, opened)


def with_mart(lake: Lake) -> Path:
    lake.shop()
    (lake.root / "src/gold/shop/daily.sql").unlink()
    lake.write("gold/shop/contract.yaml", MART)
    lake.write("gold/shop/weekly.sql", WEEKLY)
    return lake.root / "src/gold/shop/README.md"


def test_no_document_of_this_project_is_stale(lake: Lake) -> None:
    with open_project(replace(lake.settings, root=main.ROOT)) as opened:
        stale = documents.stale(main.ROOT, opened)
    names = ", ".join(str(path.relative_to(main.ROOT)) for path in stale)
    assert not stale, f"stale: {names}; run `make docs`"


def test_the_readme_of_this_project_has_every_rendered_section() -> None:
    text = (main.ROOT / "README.md").read_text(encoding="utf-8")
    for line in ("| `DATA_DIR` | `data` |", "| 70 | a bug", "| `make pipeline` |"):
        assert line in text, f"{line} is missing: put its markers back, then run `make docs`"


def test_a_marts_readme_says_what_its_contract_says(lake: Lake) -> None:
    path = with_mart(lake)
    write(lake)
    assert path.read_text(encoding="utf-8") == RENDERED


def test_only_what_differs_is_written_and_named(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    path = with_mart(lake)
    write(lake)
    assert capsys.readouterr().out == "wrote src/gold/shop/README.md\nwrote .env.example\n"
    write(lake)
    assert capsys.readouterr().out == "0 changed: every document is up to date\n"
    path.write_text(RENDERED.replace("1.2.0", "1.1.0"), encoding="utf-8")
    write(lake)
    assert capsys.readouterr().out == "wrote src/gold/shop/README.md\n"
    assert path.read_text(encoding="utf-8") == RENDERED


def test_a_readme_that_somebody_wrote_is_never_overwritten(lake: Lake) -> None:
    path = with_mart(lake)
    path.write_text("# Mine\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not rendered but written by somebody"):
        write(lake)
    assert path.read_text(encoding="utf-8") == "# Mine\n"
    assert not (lake.root / ".env.example").exists()


def test_only_what_is_between_the_markers_of_a_readme_is_rendered(lake: Lake) -> None:
    lake.shop()
    readme = lake.root / "README.md"
    readme.write_text("# Mine\n<!-- exit codes -->\nold\n<!-- /exit codes -->\nlast\n", encoding="utf-8")
    write(lake)
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["# Mine", "<!-- exit codes -->", "| code | meaning |"]
    stopped = "| 130, 143 | stopped by Ctrl-C, by TERM; the next run finishes the work |"
    assert lines[-3:] == [stopped, "<!-- /exit codes -->", "last"]


def test_a_readme_without_markers_stays_as_it_is(lake: Lake) -> None:
    lake.shop()
    (lake.root / "README.md").write_text("# Mine", encoding="utf-8")
    write(lake)
    assert (lake.root / "README.md").read_text(encoding="utf-8") == "# Mine"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- settings -->\n",
        "<!-- /settings -->\n",
        "<!-- /settings -->\n<!-- settings -->\n",
        "<!-- settings -->\n<!-- /settings -->\n<!-- settings -->\n<!-- /settings -->\n",
    ],
)
def test_markers_that_do_not_match_are_an_error(lake: Lake, text: str) -> None:
    lake.shop()
    (lake.root / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="markers of the section settings that do not match"):
        write(lake)
    assert (lake.root / "README.md").read_text(encoding="utf-8") == text


def test_every_error_stands_in_the_tree_with_its_own_exit_code() -> None:
    classes = {kind.__name__: str(kind.exit_code) for kind in BoathouseError.__subclasses__()}
    assert {name: code for name, code, _ in documents.tree()} == classes
    assert len(set(classes.values())) == len(classes)
    assert ContractErrors.exit_code == errors.ContractError.exit_code
