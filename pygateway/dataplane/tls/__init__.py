"""TLS of clients: the ClientHello is read first, then the handshake begins with the right context."""
