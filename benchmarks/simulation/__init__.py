"""How long people wait with 1 to 1,000 encoders: a simulation fed with measured service times."""
