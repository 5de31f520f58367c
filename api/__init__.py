"""The HTTP API: routers, what they read and what they answer. It writes rows; workers run them."""
