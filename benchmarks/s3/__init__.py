"""CloudAlpha over S3 beside its peers: the same objects, through one proxy that makes the way long and holds each connection to a rate.

    python -m benchmarks.s3                                   every row
    python -m benchmarks.s3 --row "get 256" --repeats 3       some of them

The servers behind the proxy: Ceph, in memory, where it can hold the data; a fake that makes content up for objects of 10 GiB and folders of 100,000
names. The proxy's rate (8 MB/s a connection), not this machine's two cores, is the limit: what counts is how many connections are kept busy, and
how many round trips are waited for.
"""
