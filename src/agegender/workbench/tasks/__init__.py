"""Computations that need torch, OpenVINO or untrusted images: `python -m agegender.workbench.tasks`."""
