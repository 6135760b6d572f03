"""The pytest plug-in of `cloudalpha.testing`."""
