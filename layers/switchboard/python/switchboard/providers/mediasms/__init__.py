"""The client of MediaSMS' API, and the parsers of its callbacks."""
