"""The Protocols through which the use cases reach the outside, one module a topic."""
