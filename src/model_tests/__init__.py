"""Tests of a project's own models: given some rows, these come out.

A test stands in `src/silver/<domain>/tests/*.yaml` or `src/gold/<mart>/tests/*.yaml`. `read` finds them, `run_tests`
runs them with the product's own steps in a temporary folder: the lake is neither read nor written.
"""

from __future__ import annotations

from src.model_tests.declared import REASONS as REASONS
from src.model_tests.declared import ModelTest as ModelTest
from src.model_tests.declared import Row as Row
from src.model_tests.differences import Difference as Difference
from src.model_tests.differences import Pair as Pair
from src.model_tests.reading import read as read
from src.model_tests.reading import select as select
from src.model_tests.running import Result as Result
from src.model_tests.running import run_tests as run_tests
