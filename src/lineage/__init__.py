"""What each column is made of, down to the columns of landed files, as text and as OpenLineage events."""
