"""How one mode is learned."""
