"""Month: how the lake grew, when the disk is full, what was promised and changed, what is to be decided."""

from src.facts.checklists import changes, closing, keeping, operating, rows
from src.facts.checklists.steps import Question

QUESTIONS = (
    Question("growth", changes.grown),
    Question("disk full when", keeping.capacity),
    Question("budgets", operating.budgets, of_findings=True, of_lake=False),
    Question("tables nobody reads", operating.unread),
    Question("promises kept", changes.promises_of_the_month),
    Question("incidents that come again", operating.recurring),
    Question("contracts changed", changes.revisions),
    Question("feeds changed", changes.schemas, of_findings=True),
    Question("contracts and tables", changes.versions),
    Question("deprecated and retired", changes.leaving),
    Question("claims", changes.claims, of_lake=False),
    Question("drafts", changes.drafts),
    Question("waivers that end", rows.waivers_of_the_month),
    Question("restore in half a year", keeping.restored),
    Question("report of the month", closing.report_written),
)
