"""Masking: what people read in place of the values of classified columns; the pipeline reads them as they are.

A column with a classification of the setting MASK is masked, and so is whatever is made of it and has no
classification of its own: columns of silver and gold, and the columns of the files that it was made of. Where nothing
says what a column holds, it is masked:

    resolving   which columns are masked, from the contracts and the lineage of columns
    masks       the SQL that people read in place of a table
    key         the secret of the hashes
    reader      who reads, and how it is told
"""
