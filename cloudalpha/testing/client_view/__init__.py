"""What a client may rely on, as tests: one module a theme. `cloudalpha.testing.ManagerTests` is all of them."""
