"""Who read what: every read by a person is recorded, and the records are the table `ops.access`.

Recording itself (`recording`) is imported where somebody reads: it needs the settings, what is recorded does not.
"""

from src.reads.folding import COLUMNS as COLUMNS
from src.reads.folding import are_spooled as are_spooled
from src.reads.folding import fold as fold
from src.reads.folding import publish as publish
from src.reads.record import FOLDER as FOLDER
from src.reads.record import TABLE as TABLE
from src.reads.record import Read as Read
from src.reads.record import Reading as Reading
from src.reads.statement import Readable as Readable
from src.reads.statement import begin as begin
from src.reads.statement import complete as complete
