"""What a route does to a request and a response."""
