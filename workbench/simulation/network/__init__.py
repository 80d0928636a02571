"""The networks that are trained and sampled."""
