"""The edge: HTTP requests, queue entries, metrics and logs, and the answers to every error."""
