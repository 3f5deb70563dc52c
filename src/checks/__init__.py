"""What was agreed to hold of a row, of a table and of a step, and whether it does."""
