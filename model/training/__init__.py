"""Training of Video-XL on shards: mixture -> samples -> packed rows -> batches -> steps -> checkpoints."""
