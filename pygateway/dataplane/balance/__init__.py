"""Balancers: each yields candidates one at a time, so failover is asking for the next."""
