"""The clients of the providers' APIs, and the parsers of their callbacks."""
