"""Stock servers of the libraries, as their documentation shows them: what CloudAlpha's managers are measured against."""
