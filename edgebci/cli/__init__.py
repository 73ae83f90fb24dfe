"""The command line: typer commands, each a thin layer over one function of the package."""
