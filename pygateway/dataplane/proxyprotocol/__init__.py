"""The PROXY protocol, versions 1 and 2: who the client is, said in front of everything else on a connection."""
