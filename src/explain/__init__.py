"""Where a number comes from: the rows of the sources that a row of a mart was computed from, down to landed files."""
