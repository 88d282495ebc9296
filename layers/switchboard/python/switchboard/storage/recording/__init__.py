"""Recordings in the state table, and their jobs and files in buckets."""
