"""Attribution methods against influence that is exactly known, at every stage of training."""

from workbench.bench import controls, methods
from workbench.bench.method import METHODS, Method, method, method_from_file
from workbench.bench.problem import PROBLEMS, SUITES, Problem, problem_of
from workbench.bench.run import ChainNetwork, Examples, Run, example_gradients
from workbench.bench.runner import bench
from workbench.bench.summary import leaderboard

__all__ = [
    "METHODS",
    "PROBLEMS",
    "SUITES",
    "ChainNetwork",
    "Examples",
    "Method",
    "Problem",
    "Run",
    "bench",
    "controls",
    "example_gradients",
    "leaderboard",
    "method",
    "method_from_file",
    "methods",
    "problem_of",
]
