"""Week: how good the data were, what became slow, which incidents there were, what is to be kept up."""

from src.facts.checklists import changes, keeping, nights, operating, rows
from src.facts.checklists.steps import Question

QUESTIONS = (
    Question("what is wrong", nights.what_is_wrong, of_findings=True),
    Question("incidents of the week", operating.incidents_of_the_week),
    Question("promises kept", changes.promises_of_the_week),
    Question("audits", rows.audits_of_the_week),
    Question("newly rejected rows", rows.quarantined),
    Question("waivers that end", rows.waivers_of_the_week),
    Question("slow steps", keeping.slow_steps, of_findings=True),
    Question("review of security", operating.security),
    Question("slow queries", operating.slow_queries),
    Question("reads", operating.reads),
    Question("budgets", operating.budgets, of_findings=True, of_lake=False),
    Question("what would save", operating.savings),
    Question("predictions", operating.models, of_findings=True, of_lake=False),
    Question("models trained", operating.trained, of_lake=False),
    Question("backup", keeping.backup, of_findings=True),
    Question("restore drill", keeping.drill),
    Question("tidying up", keeping.tidy, of_findings=True),
    Question("room on the disk", keeping.disk_room, of_lake=False),
    Question("drafts", changes.drafts),
    Question("contracts committed", changes.uncommitted, of_lake=False),
)
