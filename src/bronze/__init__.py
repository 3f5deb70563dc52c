"""Bronze: rows are only ever added, exactly as they arrived."""
