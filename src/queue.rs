//! The bounded first-in-first-out queue between the ledger and the workers.
