"""Records of what ran, and the state of the lake."""
