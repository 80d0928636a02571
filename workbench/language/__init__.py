"""Language models: how the influence between classes of tokens changes while a transformer learns."""
