"""CloudAlpha: work by FTP and SFTP on files that live in cloud services."""
