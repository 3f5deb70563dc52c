"""The contract is the program: ODCS YAML becomes the Feeds, Tables and Marts that the layers run.

Each module adds one step and imports only those before it: `model` (what there is to declare), `errors`,
`custom`, `documents` (what a conforming document is), `columns`, `feeds`, `promises`, `facts` (what determines
the rows), `versions`, `ml` (models of machine learning), `features`, `tables`, `seeds`, `loading`, `kept` (what was
loaded before); `patterns` (which files a feed's path takes) needs none of them.
The standard's pydantic model is left to `Mart.odcs`, and no module imports an engine.
"""

from __future__ import annotations

from src.contract.documents import TESTS as TESTS
from src.contract.facts import fingerprint as fingerprint
from src.contract.facts import logic as logic
from src.contract.feeds import written_source as written_source
from src.contract.kept import load_known as load_known
from src.contract.lines import place_of as place_of
from src.contract.loading import load as load
from src.contract.ml import Label as Label
from src.contract.ml import MlModel as MlModel
from src.contract.model import AGGREGATES as AGGREGATES
from src.contract.model import PROVENANCE as PROVENANCE
from src.contract.model import TIMESTAMP as TIMESTAMP
from src.contract.model import Column as Column
from src.contract.model import Contracts as Contracts
from src.contract.model import Expectation as Expectation
from src.contract.model import Feed as Feed
from src.contract.model import Mart as Mart
from src.contract.model import Measure as Measure
from src.contract.model import Relationship as Relationship
from src.contract.model import Rule as Rule
from src.contract.model import Seed as Seed
from src.contract.model import Share as Share
from src.contract.model import Sla as Sla
from src.contract.model import Source as Source
from src.contract.model import Table as Table
from src.contract.model import Watch as Watch
from src.contract.model import shown_type as shown_type
from src.contract.versions import Tagged as Tagged
from src.contract.versions import as_stored as as_stored
from src.contract.versions import check_bump as check_bump
from src.contract.versions import check_version as check_version
from src.contract.versions import current_fingerprints as current_fingerprints
from src.contract.versions import draft_tags as draft_tags
from src.contract.versions import has_foreign_columns as has_foreign_columns
from src.contract.versions import is_current as is_current
from src.contract.versions import is_draft as is_draft
from src.contract.versions import required_bump as required_bump
from src.contract.versions import tagged as tagged
from src.contract.versions import tags as tags
from src.contract.versions import why_rebuild as why_rebuild
from src.contract.versions import wrong_tags as wrong_tags
