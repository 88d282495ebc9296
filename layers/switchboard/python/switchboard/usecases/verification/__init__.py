"""The use cases of verification by telephone."""
