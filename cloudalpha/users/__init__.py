"""Users: who may log in, what they see, and what keeps everybody else out.

A user is a section of the configuration (`record.UserOptions`). At log-in the `gate` checks what the client presents, builds the user's tree out of
the mounts (`tree`, `mounts`, `subtree`), lays the permissions over it (`permissions`) and hands out a session; `defence` counts failures and
connections, and refuses or slows those who try too often.

    [users.alice]
    password_hash = "$argon2id$..."
    public_keys = ["ssh-ed25519 AAAA... alice@laptop"]
    mounts = { "/" = "photos:/", "/team" = "vault:/shared" }
    permissions = { "/" = "all", "/team" = "list download" }

    [defence]
    trusted_networks = ["10.0.0.0/8"]
"""
