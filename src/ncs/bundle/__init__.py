"""Self-contained folders for target devices and OpenVINO Model Server."""
