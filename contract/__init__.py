"""What the contract promises, kept and proven: its descriptor set, golden bytes, reference page."""
