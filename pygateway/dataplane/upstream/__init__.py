"""Backends: peers, pools of connections, outlier ejection."""
