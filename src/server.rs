//! The composition root: builds every layer from the settings and drains them in reverse.
