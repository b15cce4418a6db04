"""Videos: drafts, what became of their files, and what people may see of them."""
