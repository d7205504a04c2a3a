//! Pieces that know nothing of sessions.

pub(crate) mod clock;
pub(crate) mod icon;
pub(crate) mod loading;
pub(crate) mod modal;
pub(crate) mod pager;
pub(crate) mod refresh_button;
pub(crate) mod toast;
