"""Predictions for any number of images: shards that appear whole, are skipped when they exist, and run anywhere."""
