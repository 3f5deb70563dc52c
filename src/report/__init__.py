"""The daily report: what it says, how a page of it is written, how its plots are drawn."""

from src.report.writing import write as write
