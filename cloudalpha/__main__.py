"""`python -m cloudalpha`: the same as the command `cloudalpha`."""

from cloudalpha.cli import main

if __name__ == "__main__":
    main()
