"""The object store and the broker, as this service needs them."""
