"""Guards that keep senders within the limits of the providers and of this deployment."""
