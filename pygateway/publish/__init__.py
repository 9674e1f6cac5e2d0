"""What goes back into the cluster: statuses, Events, Services of Gateways, and the Lease that says who writes them."""
