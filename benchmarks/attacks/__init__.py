"""What other clients notice while the gateway is attacked. Start with `make attacks`."""
