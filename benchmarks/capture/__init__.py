"""Recording a real kernel's DAMON while a workload runs; standard library only."""
