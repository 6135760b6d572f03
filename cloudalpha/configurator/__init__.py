"""The configurator reads the configuration, finds plug-ins, stacks layers and starts managers: the only room that joins rooms.

    state_dir = "/var/lib/cloudalpha"
    [managers.ftp]
    port = 2121
    [accounts.photos]
    service = "local"
    root = "/srv/photos"
    [users.alice]
    password_hash = "$argon2id$..."
    mounts = { "/" = "photos:/" }

`loader.load` makes a `Configuration` of such a file, `Gateway(configuration).start()` runs it; `connect` opens one storage without either.
"""
