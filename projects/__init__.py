"""What is built on the package and is no part of it."""
