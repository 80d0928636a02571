"""The methods that are shipped, one file each; adding one is a file here and its name in the list below."""

from importlib import import_module

SHIPPED = (
    "gradient_kernel",
    "damped_newton",
    "local_bif",
    "tracin",
    "gradient_cosine",
    "representation_similarity",
    "segmentwise_unrolling",
    "random_projection",
)

for _name in SHIPPED:
    import_module(f"{__name__}.{_name}")
