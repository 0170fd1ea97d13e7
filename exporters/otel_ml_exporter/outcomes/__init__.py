"""Predictions and the ground truth that comes later: taken in as events, kept, and joined by their id."""
