"""Services: requests and replies, batched at the server."""
