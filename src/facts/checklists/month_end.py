"""Month end: every day is there, what changed after the close is known, and its state can be brought back."""

from src.facts.checklists import closing, keeping, nights, rows
from src.facts.checklists.steps import Question

QUESTIONS = (
    Question("run of the night", nights.last_run, of_findings=True),
    Question("what is wrong", nights.what_is_wrong, of_findings=True),
    Question("every day is whole", closing.whole_days, of_findings=True),
    Question("what readers see", nights.readers_see, of_findings=True),
    Question("newly rejected rows", rows.quarantined),
    Question("closed by", closing.closed),
    Question("rows after the close", closing.late_rows),
    Question("figures after the close", closing.changed_figures),
    Question("backup of the close", closing.kept_for_later),
    Question("backup", keeping.backup, of_findings=True),
    Question("report of the month", closing.report_written),
)
