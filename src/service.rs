//! What the edge may ask for: admission and the ledger of every submission.
