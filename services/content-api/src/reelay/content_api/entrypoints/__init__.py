"""How the world calls in: HTTP and facts."""
