"""Hold the values and rules of messages: texts, lengths, delivery reports and status."""
