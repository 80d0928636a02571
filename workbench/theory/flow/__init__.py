"""How a network moves through weight space."""
