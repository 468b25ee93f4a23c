"""Blobs for Neural Compute Sticks: the toolchain that makes them, the compiler's driver, the reader."""
