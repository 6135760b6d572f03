"""Files in the memory of the gateway: the reference of what a service is, and a dummy to develop against. All is gone when the process ends.

[accounts.scratch]
service = "memory"
max_size = "1 GiB"
"""
