"""What the encoder decides without touching the world: commands, boxes, cuts."""
