"""The sample company: seeded feeds for every shipped domain."""
