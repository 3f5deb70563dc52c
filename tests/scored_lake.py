"""A shop whose parcels are late or not, as a lake: features, a model that scores them, versions made in no time.

The features of a parcel are its carrier and its weight; it is late where `late` says so from `arrived` on.
"""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from conftest import Lake
from ml_versions import version

from src.engine import DuckEngine
from src.ml import registry
from src.ml.artefacts import libraries, write_artefact
from src.ml.frames import Feature, Kind, write_features
from src.ml.versions import Status

PARCELS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.parcels
name: Parcels
version: 1.0.0
status: active
domain: shop
description: {purpose: Parcels.}
servers:
  - {server: parcels, type: local, path: shop/parcels/*.csv, format: csv}
schema:
  - name: parcels
    logicalType: object
    physicalType: table
    properties:
      - {name: parcel, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: month, logicalType: string, required: true}
      - {name: sent, logicalType: date, physicalType: date}
      - {name: carrier, logicalType: string}
      - {name: weight, logicalType: number, physicalType: double}
      - {name: arrived, logicalType: date, physicalType: date}
      - {name: late, logicalType: boolean}
      - {name: gone, logicalType: boolean}
      - {name: seen, logicalType: integer, physicalType: integer}
    customProperties:
      - {property: sequenceBy, value: [seen]}
      - {property: deleteWhen, value: gone}
"""
MART = """
apiVersion: v3.1.0
kind: DataContract
id: shop
name: Shop
version: 1.0.0
status: active
domain: shop
description: {purpose: Which parcels may come late.}
team: {name: Shop, members: [{username: shop-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: features
    logicalType: object
    physicalType: table
    customProperties:
      - {property: eventTime, value: sent}
      - {property: knownAt, value: {silver.shop.parcels: {rows: sent}}}
    properties:
      - {name: parcel, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: month, logicalType: string, required: true}
      - {name: sent, logicalType: date, physicalType: date}
      - {name: carrier, logicalType: string, customProperties: [{property: feature, value: true}]}
      - {name: weight, logicalType: number, physicalType: double, customProperties: [{property: feature, value: true}]}
  - name: risk
    logicalType: object
    physicalType: table
    customProperties:
      - {property: scoredBy, value: shop.late}
    properties:
      - {name: parcel, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: month, logicalType: string, required: true, partitioned: true, partitionKeyPosition: 1}
      - {name: sent, logicalType: date, physicalType: date}
      - {name: carrier, logicalType: string}
      - {name: probability, logicalType: number, physicalType: double, required: true}
      - {name: predicted, logicalType: boolean, required: true}
      - {name: reasons, logicalType: string}
      - {name: model_version, logicalType: integer, physicalType: integer, required: true}
      - {name: scored_at, logicalType: timestamp, physicalType: timestamp, required: true}
      - {name: outcome_known, logicalType: boolean, required: true}
      - {name: features_hash, logicalType: string, required: true}
"""
FEATURES = "SELECT parcel, month, sent, carrier, weight FROM silver.shop.parcels"
MODEL = """
version: 1.0.0
owner: shop-office
description: Whether a parcel comes late.
features: gold.shop.features
label: {table: silver.shop.parcels, value: late, knownAt: arrived}
algorithm: logistic_regression
"""
RISK = "gold.shop.risk"
HEADER = "parcel,month,sent,carrier,weight,arrived,late,gone,seen\n"
FEATURES_LEARNT = (Feature("carrier", Kind.CATEGORICAL, "fast"), Feature("weight", Kind.NUMERIC, 1.0))
ROWS = """1,may,2026-05-01,slow,2.0,2026-05-09,true,false,1
2,may,2026-05-02,fast,1.0,,,false,1
3,june,2026-06-01,slow,8.0,,,false,1
4,june,2026-06-02,fast,,,,false,1
"""


def parcels(lake: Lake) -> Lake:
    """Write the contracts and models of the shop, and land its first parcels: of the first the outcome is known."""
    lake.write("silver/shop/parcels.yaml", PARCELS)
    lake.write("gold/shop/contract.yaml", MART)
    lake.write("gold/shop/features.sql", FEATURES)
    lake.write("ml/shop/late.yaml", MODEL)
    land(lake, ROWS)
    return lake


def scored_parcels(lake: Lake) -> Lake:
    """Make the lake a copy of one in which version 1 of the model has scored the first parcels."""
    shutil.copytree(_scored_once(), lake.root, dirs_exist_ok=True)
    return lake


@cache
def _scored_once() -> Path:
    home = TemporaryDirectory()
    atexit.register(home.cleanup)
    made = parcels(Lake(Path(home.name)))
    train(made, 1)
    made.good()
    return made.root


def land(lake: Lake, rows: str) -> None:
    """Land parcels as one more file."""
    folder = lake.data / "landing/shop/parcels"
    lake.land(f"shop/parcels/{len(list(folder.glob('*'))) + 1}.csv", HEADER + rows)


def train(
    lake: Lake,
    number: int,
    slow: float = 2.0,
    status: Status = Status.ACTIVE,
    features: Sequence[Feature] = FEATURES_LEARNT,
    model: str = "shop.late",
    data: Path | None = None,
    **others: Any,
) -> None:
    """Add a version to a model: the log odds of a slow carrier are `slow`, of a fast one -2, of a kilogram 0.1.

    `data`: the lake, where it is a branch of this one.
    """
    artefact, sha256 = _artefact(slow)
    facts = {"name": model, "features": write_features(features), "libraries": json.dumps(libraries())}
    facts |= {"sha256": sha256, "artefact": artefact}
    engine = DuckEngine(memory_limit="1GB", threads=1, spill=lake.data / ".spill")
    registry.add(engine, data or lake.data, f"models.{model}", version(number, status, **facts | others))
    engine.close()


@cache
def _artefact(slow: float) -> tuple[str, str]:
    return write_artefact(_estimator(slow))


def _estimator(slow: float) -> Any:
    import numpy
    import polars
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = polars.DataFrame({"carrier": ["fast", "slow"], "weight": [1.0, 1.0]})
    carriers = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("carrier", carriers, ["carrier"]), ("weight", SimpleImputer(), ["weight"])])
    made = make_pipeline(columns, LogisticRegression()).fit(frame, [False, True])
    made[-1].coef_, made[-1].intercept_ = numpy.array([[-2.0, slow, 0.1]]), numpy.array([-0.1])
    return made
