"""What the daemon shows of itself: metrics and health, on listeners of their own."""
