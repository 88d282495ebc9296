"""The client of BIZTEL's API, and the parser of its callbacks."""
