"""Diagnosis of Neural Compute Sticks on this machine."""
