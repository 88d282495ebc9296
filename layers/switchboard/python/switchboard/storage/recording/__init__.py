"""Store recordings in the StateTable, and their jobs and files in buckets."""
