"""Benchmarks: CloudAlpha beside its peers, in one run, on one machine, over one tree.

    make bench                                        every row, the table, and a JSON file under benchmarks/results/
    python -m benchmarks --row get --row put --repeats 3   some of them

A figure means something only beside the others of its run: peers take turns, repeat by repeat, and what is printed is the median with the
smallest and the largest value, and the ratio to CloudAlpha's median.
"""
