"""One file per connector; the folder is the registry, and the file's name is what a contract calls it."""
