//! Loads, checks and renders the shared templates for every channel and locale.
