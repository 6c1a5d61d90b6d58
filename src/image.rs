//! Root file systems of our own making: recipes, building, manifests, verification.
