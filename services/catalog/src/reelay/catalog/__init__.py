"""Videos, their state and who may see them."""
