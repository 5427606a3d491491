"""Tables: CSV files, columns of numbers and categories, and their preprocessing."""
