"""What a server and its engines say to each other, and how."""
