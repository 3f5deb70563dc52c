"""What keeps a lake healthy for years."""
