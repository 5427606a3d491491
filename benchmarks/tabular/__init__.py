"""Networks for tables beside trees; see __main__.py."""
