"""The parts that tests, demo and benchmarks run on: real token, real broker, real gateways."""
