"""Influence measured on trained networks, one file a measure."""
