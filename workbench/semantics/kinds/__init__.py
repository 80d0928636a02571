"""Kinds of tasks that a few characters can name, one a file; `workbench.semantics.specs` lists them."""
