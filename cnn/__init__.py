"""Dense neural networks on the CPU."""
