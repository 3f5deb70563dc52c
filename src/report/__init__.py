"""What is shown of a lake: status, health and the daily report, each read as data and rendered apart."""
