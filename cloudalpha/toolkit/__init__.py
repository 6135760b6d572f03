"""Parts for authors of services, none of which knows a service: an upload in parts, a download in ranges, retries, and the memory for all that.

    part_upload        PartStore: what a service supplies of an upload in parts; PartedFile: the NewFile over it
    parallel_reader    RangeSource: what a service supplies of reading; ParallelReader: the stream over it
    retry              Retry: how often, and how long, a request is repeated
    memory_budget      MemoryBudget: what all transfers of the process hold in memory together

A service that has both needs little more of its own:

    def read(self, path, start_byte=0, num_bytes=None, expected=ANYTHING):
        source = MyRangeSource(self.client, path)
        return ParallelReader(path, source, start_byte, num_bytes, expected, executor=self.executor)

    def create_new_file(self, path, options=WriteOptions()):
        return PartedFile(path, MyPartStore(self.client, path, options), options, executor=self.executor, part_size=8 << 20)
"""
