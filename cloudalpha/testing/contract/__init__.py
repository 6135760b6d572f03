"""The contract of a FileSystem, as tests: one module a theme. `cloudalpha.testing.FileSystemTests` is all of them."""
