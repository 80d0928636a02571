"""What one item does to another, in closed form."""
