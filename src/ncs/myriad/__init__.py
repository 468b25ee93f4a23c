"""Blobs for Neural Compute Sticks: toolchain, compiler driver and blob reader."""
