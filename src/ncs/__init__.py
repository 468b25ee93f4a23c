"""Neural Compute Sticks and OpenVINO: compiler, runtime, precision checks, profiler and bundles."""
