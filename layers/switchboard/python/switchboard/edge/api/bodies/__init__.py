"""The bodies of callers' requests, by models. Only functions that read such a body import pydantic."""
