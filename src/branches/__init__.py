"""A branch is a second lake that shares the data files of the first: a change beside the truth, without a copy.

It lies in `.branches/NAME` of the lake, main, and is a lake like any other: tables with logs of their own, records, a
lock. Its landing zone is empty and stays so. What it changed is brought to main by a promotion, or dropped.

Whoever takes rows out of all files of a lake has to know its branches, which keep the files they began with:
`list_branches` names them, and none is made or dropped while `lock_branches` is held.
"""

from src.branches.branch import Branch, find_branch, list_branches, lock_branches

__all__ = ["Branch", "find_branch", "list_branches", "lock_branches"]
