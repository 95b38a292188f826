"""Anchoring heads of logs on a FISCO BCOS chain, and following what others have anchored there."""
