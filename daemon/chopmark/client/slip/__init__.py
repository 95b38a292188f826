"""The verification slip on paper: one page of PDF with the facts of a proof and its QR code.

It is made of verified facts only, asks nothing of the network, and is always the same for the same
proof. Needs the extra `slip` (fpdf2, segno).
"""
