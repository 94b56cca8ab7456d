"""Code that tests share: a virtual clock, raw servers, faults, cancellation sweeps, a scanner for secrets."""
