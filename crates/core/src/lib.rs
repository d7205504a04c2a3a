//! What Rollcall is about.
