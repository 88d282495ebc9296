"""The submission of an order to its provider, for every kind of order."""
