"""How work is spread: batches, threads, products, CUDA graphs."""
