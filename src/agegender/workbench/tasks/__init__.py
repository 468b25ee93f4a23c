"""Short computations for a page that need torch, OpenVINO or untrusted images: `python -m agegender.workbench.tasks`."""
