"""Scanning: whether a value is anywhere in some folders, in any format that the product or its users write."""

from src.forget.scanning.search import Finding as Finding
from src.forget.scanning.search import Scan as Scan
from src.forget.scanning.search import search as search
from src.forget.scanning.spelled import Forms as Forms
from src.forget.scanning.spelled import Value as Value
