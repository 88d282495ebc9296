"""One simulator per provider, each a real HTTP server written from the provider's document alone."""
