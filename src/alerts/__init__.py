"""Alerts: problems become incidents; each is sent once when it begins and once when it is over.

`update` is what a run and a health check call with the problems they found; the rest is for people.
"""

from src.alerts.answers import OpenIncident, ack, ack_all, print_open, read_open, snooze, snooze_all, with_followers
from src.alerts.decisions import update
from src.alerts.failures import looked_at, of_run
from src.alerts.incidents import EVENTS, TABLE, Event, Incident, open_incidents
from src.alerts.messages import Message, channels, send, url_errors
from src.alerts.past import NumberedIncident, numbered, read_numbered
from src.alerts.response import RESPONSE, Deadline, Kept

__all__ = [
    "EVENTS",
    "RESPONSE",
    "TABLE",
    "Deadline",
    "Event",
    "Incident",
    "Kept",
    "Message",
    "NumberedIncident",
    "OpenIncident",
    "ack",
    "ack_all",
    "channels",
    "looked_at",
    "numbered",
    "of_run",
    "open_incidents",
    "print_open",
    "read_numbered",
    "read_open",
    "send",
    "snooze",
    "snooze_all",
    "update",
    "url_errors",
    "with_followers",
]
