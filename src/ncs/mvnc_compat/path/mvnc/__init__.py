"""The NCSDK's interface over ncs.runners, for who puts this folder's parent into PYTHONPATH."""
