//! Log lines with the prefixes that people grep for. Never user input or code in one.
