"""What a contract would make of what has landed, or a model of what is published: looked at, and nothing is changed.

The rows are those of the product's own readers, silver and models: what is shown here is what the next run computes.
New files are read whole into a folder beside what the engine spills, which goes when the look is over.
"""

from __future__ import annotations

from src.preview.gold import MartPreview as MartPreview
from src.preview.gold import read_mart as read_mart
from src.preview.masked import masked_mart as masked_mart
from src.preview.masked import masked_silver as masked_silver
from src.preview.printed import print_mart as print_mart
from src.preview.printed import print_silver as print_silver
from src.preview.silver import SilverPreview as SilverPreview
from src.preview.silver import read_silver as read_silver
