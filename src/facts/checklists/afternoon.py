"""Afternoon: what came late, what tomorrow needs, and what is to be committed before the day ends."""

from src.facts.checklists import changes, keeping, nights, operating, rows
from src.facts.checklists.steps import Question

QUESTIONS = (
    Question("runs of today", nights.runs_of_day, of_findings=True),
    Question("late data", rows.expected_feeds, of_findings=True),
    Question("files that no feed takes", rows.not_taken, of_lake=False),
    Question("what readers see", nights.readers_see, of_findings=True),
    Question("incidents in time", nights.deadlines),
    Question("the lake is free", nights.going),
    Question("sources for tomorrow", rows.sources_ready, of_findings=True, of_lake=False),
    Question("contracts and tables", changes.versions),
    Question("commit before the day ends", changes.uncommitted, of_lake=False),
    Question("waivers that end", rows.waivers_ending),
    Question("predictions", operating.models, of_findings=True, of_lake=False),
    Question("room on the disk", keeping.disk_room, of_lake=False),
    Question("what comes next", nights.upcoming),
)
