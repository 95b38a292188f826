"""Real parts for the demo, the tests and the benchmarks: broker, token, gateway."""
