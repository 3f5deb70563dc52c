"""A project of one's own, made in an empty folder."""
