"""Layer 4: connections and datagrams that are passed on as they come."""
