"""Latency benchmarks and profiles per layer."""
