"""ManagerTests: what a client may rely on, for any manager, over any service.

    from cloudalpha.testing import ManagerTests

    class TestMyManager(ManagerTests):
        def make_manager(self, gate, state_dir):
            return MyManager("my_manager", MySettings(port=0), gate, state_dir)

        def make_client(self, endpoint, user_name, password):
            return MyClient(endpoint, user_name, password)

`MyClient` is a `cloudalpha.testing.clients.Client`; there are adapters for FTP, FTPS and SFTP. What is served is the memory service,
with layers that fail, count and wait where a test needs them; override the fixture `storage` to run all of it over another, empty, service.
"""

from __future__ import annotations

from cloudalpha.testing.client_view.faults import FaultTests
from cloudalpha.testing.client_view.life import LifeTests
from cloudalpha.testing.client_view.transfers import TransferTests
from cloudalpha.testing.client_view.tree import TreeTests


class ManagerTests(TransferTests, TreeTests, FaultTests, LifeTests):
    """Subclass it, and give it `make_manager` and `make_client`."""
