"""Replaying traces of page accesses."""
