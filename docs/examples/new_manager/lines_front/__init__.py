"""A manager that speaks JSON lines over TCP: the worked example of DEVELOPER_GUIDE.md."""
