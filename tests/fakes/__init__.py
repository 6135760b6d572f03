"""Services faked on the wire, where no real server can do what a test needs."""
