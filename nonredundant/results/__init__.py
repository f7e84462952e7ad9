"""What a comparison found: tables, tests, the answer in words, and how it was obtained."""
