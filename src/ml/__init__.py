"""Models of machine learning: trained on tables of features, kept as tables, scored in the run, and watched.

The trained versions of a model are the rows of `models.<domain>.<name>`: a table like others, so that backups,
releases, rollbacks and vacuum know no second kind of thing.
"""
