"""SFTP and SCP: the manager that any SSH file-transfer client connects to.

    [managers.sftp]
    host = "127.0.0.1"
    port = 2222
    rsa_host_key = true          # beside the Ed25519 one, for old clients

AsyncSSH speaks SSH on one event loop; the SFTP requests (version 3 and the extensions that clients use) and the SCP protocol are spoken
here. A call that may block leaves the loop through a bounded, fair pool of threads (`workers`); reads and writes that a buffer can serve
stay on it.
"""
