"""Simulators of the providers: real HTTP servers, each written from its provider's document alone."""
