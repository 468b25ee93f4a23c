"""Effects of FP16 and INT8 on a net's outputs."""
