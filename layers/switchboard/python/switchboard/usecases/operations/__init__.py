"""The use cases of the sweep and of the status page."""
