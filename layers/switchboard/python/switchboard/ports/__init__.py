"""What the use cases need from the outside, as Protocols; one module a topic, so that nobody loads another's."""
