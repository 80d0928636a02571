"""What the network could have been: Hessian, local posterior, phases, learning coefficient."""
