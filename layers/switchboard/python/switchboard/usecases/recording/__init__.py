"""Use cases of recordings: fetch, keep bulk files, query, requeue."""
