"""Adapters to AWS: the stores, queues and buckets behind the ports."""
