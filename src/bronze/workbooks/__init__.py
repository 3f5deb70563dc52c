"""Workbooks are read in a process of their own (`child`), so that no file can take the run's memory or its life.

Nothing here imports the rest of the project: the child starts in a moment. Its other end is `readers/xlsx.py`.
"""
