"""What a contract may say of features, scores and models, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Lake
from ml_shop import FEATURES, MODEL, MODEL_ID, PARCELS, sends_parcels

from src import contract
from src.errors import BoathouseError, ContractErrors
from src.project import open_project

SCORES = """
  - name: risk
    properties:
      - {name: parcel_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: probability, logicalType: number, physicalType: double}
      - {name: predicted, logicalType: boolean}
      - {name: reasons, logicalType: string}
      - {name: model_version, logicalType: integer, physicalType: integer}
      - {name: scored_at, logicalType: timestamp}
      - {name: outcome_known, logicalType: boolean}
      - {name: features_hash, logicalType: string}
    customProperties:
      - {property: scoredBy, value: shop.late}
"""
MART, FILE = "gold/shop/contract.yaml", "ml/shop/late.yaml"
SHOP = {
    "silver/shop/parcels.yaml": PARCELS,
    MART: FEATURES + SCORES.lstrip("\n"),
    "gold/shop/parcel_features.sql": "SELECT 1",
    FILE: MODEL,
}


def refused(tmp_path: Path, files: dict[str, str]) -> tuple[BoathouseError, ...]:
    for name, text in files.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(ContractErrors) as raised:
        contract.load(tmp_path / "src")
    return raised.value.errors


def test_features_scores_and_a_model_are_read(tmp_path: Path) -> None:
    for name, text in SHOP.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = contract.load(tmp_path / "src")
    features, risk = found.gold["gold.shop.parcel_features"], found.gold["gold.shop.risk"]
    assert (features.event_time, features.features) == ("sent", ("carrier", "is_cold", "km"))
    assert features.known_at == {"silver.shop.parcels": {"rows": "sent"}}
    assert (risk.scored_by, risk.event_time, risk.known_at, risk.features) == ("models.shop.late", None, None, ())
    model = found.models["models.shop.late"]
    assert (model.features, model.label.known_at) == ("gold.shop.parcel_features", "arrived")
    assert (model.algorithm, model.baseline, model.compare_by) == ("logistic_regression", "carrier", "brier")
    assert (model.holdout, model.threshold, model.retrain_hours, model.seed) == (0.2, 0.5, 168, 7)


KNOWN_AT = "      - {property: knownAt, value: {silver.shop.parcels: {rows: sent}}}\n"
EVENT = "      - {property: eventTime, value: sent}\n"
KEY = "physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}\n      - {name: sent"
RISK_KEY = "physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}\n      - {name: probability"
BAD = [
    # (file, old, new, the error, where, a part of the fix)
    (MART, "eventTime, value: sent", "eventTime, value: km", "eventTime km is DOUBLE", "[eventTime]", "sent"),
    (MART, "eventTime, value: sent", "eventTime, value: send", "no column send", "[eventTime]", "`sent`"),
    (MART, KEY, KEY.replace(", primaryKey: true, primaryKeyPosition: 1", ""), "eventTime without a key", "[eventTime]",
     "`primaryKey: true`"),
    (MART, EVENT, "", "knownAt without eventTime", "[knownAt]", "the event's time"),
    (MART, EVENT + KNOWN_AT, "      - {property: critical, value: false}\n", "feature carrier of a table without "
     "eventTime", "[feature]", "`eventTime`"),
    (MART, "{rows: sent}", "{arrived: sent}", "knownAt", "[knownAt]", "rows"),
    (MART, "physicalType: date, required: true}", "physicalType: date, required: true, customProperties: "
     "[{property: feature, value: true}]}", "feature sent is DATE", "[feature]", "a number, a text or a truth"),
    (MART, "{name: reasons, logicalType: string}", "{name: reasons, logicalType: integer}", "no column reasons varchar",
     "[scoredBy]", "features_hash"),
    (MART, RISK_KEY, RISK_KEY.replace(", primaryKey: true, primaryKeyPosition: 1", ""), "scoredBy without a key",
     "[scoredBy]", "`primaryKey: true`"),
    (MART, "value: shop.late}", "value: shop.early}", "no model shop.early", "contract.yaml", "shop.late"),
    (MART, "value: shop.late}\n", "value: shop.late}\n      - {property: refresh, value: full}\n",
     "refresh of a table that is scored", "[refresh]", "remove it"),
    (MART, "{name: parcel_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}\n"
     "      - {name: prob", "{name: km, logicalType: number, physicalType: double, primaryKey: true}\n"
     "      - {name: prob", "the key is km", "risk", "parcel_id"),
    (MART, "{name: features_hash, logicalType: string}", "{name: features_hash, logicalType: string}\n"
     "      - {name: km, logicalType: string}", "column km varchar, gold.shop.parcel_features has km double", "risk",
     "of the same types"),
    (MART, "{name: predicted, logicalType: boolean}", "{name: predicted, logicalType: boolean, required: true, "
     "partitioned: true}", "partition column predicted", "risk", "no feature"),
    (FILE, "version: 1.0.0", "version: one", "version ", "version", "MAJOR.MINOR.PATCH"),
    (FILE, "owner: shop-office\n", "", "no owner", "late.yaml", "who answers for it"),
    (FILE, "owner: shop-office\n", "owner: shop-office\nowned: me\n", "unknown key owned", "owned", "`owner`"),
    (FILE, "algorithm: logistic_regression", "algorithm: magic", "algorithm ", "algorithm", "random_forest"),
    (FILE, "algorithm: logistic_regression", "algorithm: pipeline", "algorithm pipeline with no .py", "algorithm",
     "the .py beside it"),
    (FILE, "knownAt: arrived}", "known: arrived}", "label", "label", "knownAt: SQL"),
    (FILE, "features: gold.shop.parcel_features", "features: gold.shop.parcels", "no table gold.shop.parcels",
     "features", "gold.shop.parcel_features"),
    (FILE, "features: gold.shop.parcel_features", "features: gold.shop.risk", "gold.shop.risk is no table of features",
     "features", "`eventTime`"),
    (FILE, "table: silver.shop.parcels", "table: silver.shop.parcel", "no table silver.shop.parcel", "label.table",
     "silver.shop.parcels"),
    (FILE, "baseline: carrier", "baseline: carriers", "no feature carriers", "baseline", "`carrier`"),
    *(
        (FILE, "baseline: carrier", f"baseline: carrier\n{key}: {wrong}", f"{key} ", key, fix)
        for key, wrong, fix in (
            ("seed", "-1", "a whole number from 0"),
            ("holdout", "1", "between 0 and 1"),
            ("threshold", "0", "between 0 and 1"),
            ("bounds", "{beauty: {min: 1}}", "the metrics are accuracy"),
            ("bounds", "{f1: {least: 1}}", "{min: number, max: number}"),
            ("compareBy", "beauty", "one of accuracy"),
            ("drift", "0", "a PSI above 0"),
            ("retrain", "{value: 1, unit: moon}", "{value: number, unit: "),
            ("parameters", "many", "keys and values"),
            ("where", "1", "an SQL condition"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "what", "where", "fix"), BAD)
def test_what_cannot_be_is_refused(
    tmp_path: Path, file: str, old: str, new: str, what: str, where: str, fix: str
) -> None:
    assert SHOP[file].count(old) == 1
    found = refused(tmp_path, SHOP | {file: SHOP[file].replace(old, new)})
    [error] = [error for error in found if what in error.what]
    assert where in str(error.where)
    assert fix in str(error.fix)


def test_a_file_that_belongs_to_no_model_is_refused(tmp_path: Path) -> None:
    found = refused(tmp_path, SHOP | {"ml/shop/early.py": "", "ml/shop/late.py": ""})
    assert [error.what for error in found] == [
        "early.py belongs to no model; the folder has late",
        "algorithm logistic_regression with late.py",
        "gold.shop.risk: no model shop.late",
    ]


def test_a_table_of_scores_has_no_sql_and_a_label_the_key_of_its_features(tmp_path: Path) -> None:
    [error] = refused(tmp_path, SHOP | {"gold/shop/risk.sql": "SELECT 1"})
    assert error.what == "table risk is scored by a model, and has risk.sql"
    keyless = FEATURES.replace("parcel_id", "parcel") + SCORES.lstrip("\n").replace("parcel_id", "parcel")
    [error] = refused(tmp_path / "second", SHOP | {MART: keyless})
    assert error.what == "silver.shop.parcels has no column parcel"


def test_a_model_of_a_mart_that_is_not_there_is_left_out_with_a_note(lake: Lake) -> None:
    sends_parcels(lake)
    lake.write("ml/other/late.yaml", MODEL.replace("gold.shop.", "gold.other."))
    with open_project(lake.settings) as project:
        assert list(project.contracts.models) == [MODEL_ID]
        assert project.contracts.notes == ("src/ml/other/late.yaml is left out: no table of gold.other is declared",)
    lake.good()
