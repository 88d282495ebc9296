"""Fetch recordings, keep files that came in bulk, and show recordings to callers."""
