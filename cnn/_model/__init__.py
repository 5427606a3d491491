"""The parts of a Sequential that do not train: structure, weights, copies, exports."""
