"""Schedule, optimizers, recipe, descent."""
