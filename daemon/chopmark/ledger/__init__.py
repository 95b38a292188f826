"""Durable: the store, the digest index, the sequencer of our log, replicas of peers."""
