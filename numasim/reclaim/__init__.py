"""Page reclaim: who is cold by the kernel's own aging, and where it goes: a lower tier, or swap."""
