"""Silver: one row per key, the newest, typed and checked."""
