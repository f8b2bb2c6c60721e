"""NUMA balancing: who scans when, what a hint fault decides, what it costs."""
