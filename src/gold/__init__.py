"""Gold: a partition is computed whole, never edited."""
