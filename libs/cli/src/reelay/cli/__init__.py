"""The reelay command."""
