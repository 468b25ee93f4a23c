"""This folder in PYTHONPATH makes `from mvnc import mvncapi` find ncs.mvnc_compat."""
