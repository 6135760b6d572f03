"""A service that keeps files in an SQLite database: the worked example of DEVELOPER_GUIDE.md."""
