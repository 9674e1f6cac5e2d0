"""The data plane: connections, exchanges and the way to the backends."""
