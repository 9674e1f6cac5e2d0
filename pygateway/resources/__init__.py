"""Kubernetes objects as typed structs, decoded straight from JSON or YAML."""
