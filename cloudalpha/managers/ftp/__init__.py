"""The FTP manager: FTP and FTPS on pyftpdlib, one thread a session.

[managers.ftp]
host = "127.0.0.1"
port = 2121
tls = "optional"                  # off | optional | required | implicit
passive_ports = "30000-30100"
public_address = "203.0.113.5"    # what PASV tells clients behind NAT
"""
