"""The engine runs SQL over lake tables and writes data files; it never commits."""

from src.engine.duck import AUTOMATIC as AUTOMATIC
from src.engine.duck import LEAST_OF_A_CORE as LEAST_OF_A_CORE
from src.engine.duck import MANY_COLUMNS as MANY_COLUMNS
from src.engine.duck import DuckEngine as DuckEngine
from src.engine.duck import Reject as Reject
from src.engine.duck import RowId as RowId
from src.engine.duck import identifier as identifier
from src.engine.duck import literal as literal
from src.engine.duck import memory_of_core as memory_of_core
from src.engine.mistakes import SqlMistake as SqlMistake
from src.engine.patterns import HIDDEN as HIDDEN
from src.engine.patterns import pattern as pattern
from src.engine.patterns import quoted as quoted
from src.engine.room import room_beside as room_beside
