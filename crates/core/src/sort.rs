//! The order of a list, as it stands in an address: a column, with `-` before it the largest first.

/// A column that some list can be sorted by.
pub trait SortColumn: Copy + Eq {
    /// The order that the list has to start with.
    const START: Sort<Self>;

    /// The column with this name.
    fn named(name: &str) -> Option<Self>;

    /// Its name.
    fn name(self) -> &'static str;
}

/// An order: a column and a direction. Equal rows follow in the order of their ids, same direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sort<K> {
    /// The column.
    pub key: K,
    /// Largest first.
    pub descending: bool,
}

impl<K: SortColumn> Default for Sort<K> {
    fn default() -> Self {
        K::START
    }
}

impl<K: SortColumn> Sort<K> {
    /// Reads `created_at` or `-created_at`.
    pub fn parse(text: &str) -> Option<Self> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        K::named(name).map(|key| Self { key, descending })
    }

    /// Writes what `parse` reads.
    pub fn as_text(self) -> String {
        let sign = if self.descending { "-" } else { "" };
        format!("{sign}{}", self.key.name())
    }
}

macro_rules! sorts {
    ($(#[$doc:meta])* $name:ident by $key:ident from $first:ident, $descending:literal) => {
        $(#[$doc])*
        pub type $name = $crate::sort::Sort<$key>;

        impl $crate::sort::SortColumn for $key {
            const START: $name = $crate::sort::Sort { key: Self::$first, descending: $descending };

            fn named(name: &str) -> Option<Self> {
                Self::from_name(name)
            }

            fn name(self) -> &'static str {
                self.as_str()
            }
        }
    };
}
pub(crate) use sorts;
