"""Landing: what a source said is written down once, whole and unchanged, as files in the landing zone.

The stage stands before bronze and knows nothing of it. It keeps no state but the files that have landed and the
records in ops.pulls: killed anywhere, the next pull asks again, and what is the same lands no second time.
"""
