"""MQTT: the link to the broker, topics, live packages, catch-up, freshness."""
