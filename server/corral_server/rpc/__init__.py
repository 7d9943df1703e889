"""The gRPC edge: the only place that knows gRPC and its messages."""
