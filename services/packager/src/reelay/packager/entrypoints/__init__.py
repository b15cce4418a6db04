"""How the world calls in: requests, facts and demands."""
