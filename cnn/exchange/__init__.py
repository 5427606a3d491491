"""Networks to and from other libraries and languages: ONNX, PyTorch, scikit-learn, C."""
