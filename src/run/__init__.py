"""A command holds the lake, does its steps in a blocking sequence, and leaves records and a release."""
