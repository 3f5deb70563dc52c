"""Draft: a first contract from files that landed, ready to run.

The law: a drafted contract quarantines no row of the files it was drafted from, and none of their rows is in conflict.
Files are read whole, by bronze's own readers, and a contract is written only after silver's own checks let every row
pass. What cannot be known is not guessed: it stays text, and a comment says what it may be.
"""
