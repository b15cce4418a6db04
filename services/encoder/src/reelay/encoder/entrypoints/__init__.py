"""How the world calls the encoder."""
