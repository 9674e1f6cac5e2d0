"""HTTP/1.1: a strict sans-I/O codec and the protocols that use it."""
