"""What the sample company's feeds have in common: the devices that it makes, sells and ships, and when it is closed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A device: its number is the model in the workshop's logs and the stock code on an invoice."""

    number: str
    name: str
    part: str
    price: str  # pounds


DEVICES = (
    Device("HL100", "HARBOUR LANTERN LED", "PN-4100-01", "24.95"),
    Device("HL200", "HARBOUR LANTERN LED, DIMMABLE", "PN-4200-03", "39.95"),
    Device("TB110", "TIDE BELL", "PN-5110-02", "18.5"),
    Device("WS300", "WEATHER STATION", "PN-6300-01", "79.0"),
    Device("WS310", "WEATHER STATION, SOLAR", "PN-6310-04", "95.0"),
    Device("RG050", "RAIN GAUGE", "PN-7050-01", "14.75"),
)
WEIGHTS = (30, 18, 16, 9, 6, 21)  # how often each is made and sold
HOLIDAYS = {(12, 25), (12, 26), (1, 1)}  # month and day
