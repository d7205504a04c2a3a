//! Rollcall's pages.
