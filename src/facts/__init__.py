"""Facts: what is so about a lake, as plain data. Terminal, report, alerts and page render it; nothing here prints."""

from src.facts.backups import BackupFacts as BackupFacts
from src.facts.domains import DomainFacts as DomainFacts
from src.facts.families import read_families as read_families
from src.facts.families import read_standings as read_standings
from src.facts.look import Facts as Facts
from src.facts.look import KnownCause as KnownCause
from src.facts.look import known_causes as known_causes
from src.facts.look import read_facts as read_facts
from src.facts.runs import RunFacts as RunFacts
from src.facts.tables import State as State
from src.facts.tables import TableFacts as TableFacts
from src.facts.upcoming import Upcoming as Upcoming
