"""All of Reelay on one machine."""
