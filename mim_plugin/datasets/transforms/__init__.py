"""Views: crops, colours and masks."""
