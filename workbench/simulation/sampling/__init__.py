"""The local posterior, sampled: one file a sampler, plan, chains, noise, moments, diagnostics."""
