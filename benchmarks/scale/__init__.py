"""A cluster of thousands of Services and routes: how soon it is served, what that costs, how soon changes hold."""
