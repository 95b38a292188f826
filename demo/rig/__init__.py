"""What tests, demo and benchmarks start for real: broker, token, gateway."""
