"""Other people's ONNX files, run as they are: recognised, described, and their outputs decoded."""
