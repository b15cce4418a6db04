"""Who may do what: the signing key, the first administrator, and whom a request comes from.

Full accounts (names, passwords, sign-in) will live here; the rest of the catalog knows only the
`Identity` that `access.Caller` yields.
"""
