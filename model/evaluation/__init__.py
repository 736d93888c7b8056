"""What a trained Video-XL can do, measured."""
