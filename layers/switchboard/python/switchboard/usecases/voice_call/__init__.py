"""The use cases of voice calls."""
