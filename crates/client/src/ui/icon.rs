//! Icons, drawn in the text's colour. They are decoration: the words beside them say the same.

use leptos::prelude::*;

/// Which icon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    Audit,
    Brand,
    Building,
    Close,
    Device,
    Door,
    Elsewhere,
    Key,
    Lock,
    Refresh,
    Rules,
    Search,
    Sessions,
    User,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Audit => "M5 3.5h10v13H5zM7.8 7.2h4.4M7.8 10h4.4M7.8 12.8h2.6",
            Self::Brand => {
                "M3.5 6.5a3 3 0 0 1 3-3h7a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3h-7a3 3 0 0 1-3-3zM7 10.2l2.3 2.3 4.2-4.7"
            }
            Self::Building => "M5 17V4h10v13M3 17h14M8 7.5h1M11 7.5h1M8 11h1M11 11h1",
            Self::Close => {
                "M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15zM7.4 7.4l5.2 5.2M12.6 7.4l-5.2 5.2"
            }
            Self::Device => "M4 4.5h12v8.5H4zM2.5 15.5h15",
            Self::Door => "M11.5 3.5h-6v13h6M8.5 10h8m-2.6-2.8L16.7 10l-2.8 2.8",
            Self::Elsewhere => "M8.5 4.5h-4v11h11v-4M11.5 3.5h5v5M16.3 3.7l-7 7",
            Self::Key => {
                "M10 3l5.5 2v4.2c0 3.6-2.3 6.3-5.5 7.8-3.2-1.5-5.5-4.2-5.5-7.8V5zM7.6 9.8l1.8 1.8 3.2-3.4"
            }
            Self::Lock => "M5 9.5h10V16H5zM7 9.5V7a3 3 0 0 1 6 0v2.5",
            Self::Refresh => "M16 10a6 6 0 1 1-1.8-4.3M16.2 3v3.4h-3.4",
            Self::Rules => {
                "M3 6h8M15 6h2M3 14h2M9 14h8M13 8.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM7 16.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z"
            }
            Self::Search => "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM13.1 13.1l3.9 3.9",
            Self::Sessions => {
                "M7.5 9.5a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM2.5 16c.4-2.7 2.4-4.3 5-4.3s4.6 1.6 5 4.3M13 4.3a2.8 2.8 0 0 1 0 5M14.6 12c1.7.6 2.7 2 2.9 4"
            }
            Self::User => {
                "M10 9.8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 16.5c.5-3 2.9-4.6 6-4.6s5.5 1.6 6 4.6"
            }
        }
    }
}

/// An icon, 20 units square.
#[component]
pub(crate) fn Glyph(icon: Icon) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
            <path d=icon.path() />
        </svg>
    }
}
