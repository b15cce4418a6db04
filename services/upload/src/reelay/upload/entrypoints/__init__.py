"""How the world calls in: tus over HTTP, and facts."""
