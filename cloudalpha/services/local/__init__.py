"""The `local` service: the files beneath one folder of the gateway's own machine."""
