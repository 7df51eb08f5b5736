"""ONNX graphs of the bundled models, built from the weights in their packages without torch, and how they are run."""
