"""Transparent huge pages in the course of a run: who asks for them, and who makes them.

A mapping's own page size is part of the workload. Here is what changes it later: DAMOS's
``hugepage``, ``nohugepage`` and ``collapse``, and khugepaged.
"""
