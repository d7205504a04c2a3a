//! Pages of a list.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One page of a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The rows of this page, in order.
    pub items: Vec<T>,
    /// How many rows match in all; a lower bound where `total_is_exact` is false.
    pub total: u64,
    /// False where counting stopped ("More than 10,000 items").
    pub total_is_exact: bool,
    /// The number of this page, from 1.
    pub page: u32,
    /// Rows on a full page.
    pub page_size: u32,
    /// The moment that this page shows; durations and states are as of then.
    pub as_of: Timestamp,
}

impl<T> Page<T> {
    /// How many pages there are; at least 1.
    pub fn pages(&self) -> u64 {
        self.total.div_ceil(u64::from(self.page_size.max(1))).max(1)
    }
}

/// Rows on a page: 1 to 100, 10 to start with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageSize(u32);

impl PageSize {
    /// The sizes that the pages offer.
    pub const OFFERED: [u32; 4] = [10, 20, 50, 100];

    /// A page size, if it is within 1 to 100.
    pub const fn new(rows: u32) -> Option<Self> {
        if rows >= 1 && rows <= 100 {
            Some(Self(rows))
        } else {
            None
        }
    }

    /// The number of rows.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(10)
    }
}

/// The number of a page, from 1 to 10,000,000.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageNumber(u32);

impl PageNumber {
    /// A page number, if it is within 1 to 10,000,000.
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= 10_000_000 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_as_many_pages_as_it_fills_and_at_least_one() {
        for (total, page_size, pages) in
            [(0, 10, 1), (10, 10, 1), (11, 10, 2), (95, 20, 5), (7, 0, 7)]
        {
            let page = Page::<()> {
                items: Vec::new(),
                total,
                total_is_exact: true,
                page: 1,
                page_size,
                as_of: Timestamp(0),
            };
            assert_eq!(page.pages(), pages, "{total} by {page_size}");
        }
    }
}
