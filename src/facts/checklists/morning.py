"""Morning: what happened in the night, and is what readers see of today."""

from src.facts.checklists import keeping, nights, operating, rows
from src.facts.checklists.steps import Question

QUESTIONS = (
    Question("run of the night", nights.last_run, of_findings=True),
    Question("what is wrong", nights.what_is_wrong, of_findings=True),
    Question("incidents in time", nights.deadlines),
    Question("what readers see", nights.readers_see, of_findings=True),
    Question("failed and blocked tables", nights.failed_tables, of_findings=True),
    Question("promises of freshness", nights.freshness, of_findings=True),
    Question("overdue feeds", rows.overdue_feeds, of_findings=True),
    Question("odd figures", rows.odd_figures, of_findings=True),
    Question("newly rejected rows", rows.quarantined),
    Question("predictions", operating.models, of_findings=True, of_lake=False),
    Question("backup", keeping.backup, of_findings=True),
    Question("room on the disk", keeping.disk_room, of_lake=False),
    Question("what comes next", nights.upcoming),
)
