//! Where submissions are kept.
