"""Balancers: each yields candidates, so failover is asking for the next."""
