"""The callers' API: one module a resource, each with the same function names."""
