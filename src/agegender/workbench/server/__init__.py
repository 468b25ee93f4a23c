"""The web server. It holds no state of its own: the folders below the root are the only truth."""
