"""Tests of the catalog as a process, beside a real NATS server and a real PostgreSQL."""
