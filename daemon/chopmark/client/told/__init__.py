"""What a gateway's answers (docs/api.md) say, in words: as the commands and the console show it."""
