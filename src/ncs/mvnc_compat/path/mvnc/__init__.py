"""The NCSDK's interface on top of `ncs.runtime`, for use with this folder's parent in PYTHONPATH."""
