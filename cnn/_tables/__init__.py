"""Tables: CSV files, columns of numbers and categories, and what makes inputs of them."""
