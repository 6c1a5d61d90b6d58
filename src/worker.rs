//! Takes jobs from the ledger and runs each step of each in a container of its own.
