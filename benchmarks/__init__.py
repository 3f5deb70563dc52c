"""Speed and memory, as ratios between alternatives run in turn, each in a fresh process."""
