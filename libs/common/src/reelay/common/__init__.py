"""What Reelay's services share."""
