"""The abstract of the paper, sentence by sentence: what each asserts, measured here, with a verdict.

Lee, Smith, Adam & Hoogland, Influence Dynamics and Stagewise Data Attribution (arXiv 2510.12071). Sentences are in our
words.
"""

from workbench.paper.page import write_paper
from workbench.paper.run import PaperSettings, paper
from workbench.paper.sentence import Sentence

__all__ = ["PaperSettings", "Sentence", "paper", "write_paper"]
