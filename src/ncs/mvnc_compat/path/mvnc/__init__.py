"""The NCSDK's interface over ncs.runtime, for who puts this folder's parent into PYTHONPATH."""
