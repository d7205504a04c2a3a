//! What callers keep of the list of sessions: filters by name, and its columns.

use rollcall_core::choices::{LONGEST_FILTER_NAME, MOST_FILTERS};
use rollcall_core::filter_words::{FilterWords, describe};
use rollcall_core::{
    Columns, Error, Field, PageNumber, Permission, Problem, SavedFilter, SavedFilterId,
    SessionFilter, SessionQuery,
};

use super::Service;
use super::caller::Caller;
use super::names::checked_name;
use crate::clock::uuid_v7;
use crate::db::{self, DbError};

impl Service {
    /// The filters of a list in words.
    pub async fn describe_filter(
        &self,
        caller: &Caller,
        filter: &SessionFilter,
    ) -> Result<Vec<FilterWords>, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        let names = db::saved_filters::names(self.db().reader(), scope, &filter.more)
            .await
            .map_err(|error| self.database_error(error))?;
        Ok(describe(&filter.more, names))
    }

    /// The caller's filters.
    pub async fn saved_filters(&self, caller: &Caller) -> Result<Vec<SavedFilter>, Error> {
        caller.authorise(Permission::SessionsView)?;
        db::saved_filters::list(self.db().reader(), caller.user_id())
            .await
            .map_err(|error| self.database_error(error))
    }

    /// Saves one. Its page has no place in it.
    pub async fn save_filter(
        &self,
        caller: &Caller,
        name: &str,
        query: SessionQuery,
    ) -> Result<SavedFilter, Error> {
        caller.session()?;
        caller.authorise(Permission::SessionsView)?;
        let name = checked_name(name, LONGEST_FILTER_NAME)?;
        let refuse = |field, problem| Err(Error::Invalid(field, problem));
        let query = SessionQuery {
            page: PageNumber::default(),
            ..query
        };
        let now = self.now();
        let filter = SavedFilter {
            id: SavedFilterId(uuid_v7(self.random(), now)),
            name,
            query: query.to_query(),
            created_at: now,
        };
        if filter.query.is_empty() {
            return refuse(Field::Query, Problem::Missing);
        }
        let (user, saved) = (caller.user_id(), filter.clone());
        let kept = self
            .write(move |tx, _| {
                Box::pin(async move {
                    match db::saved_filters::create(tx, user, &saved).await {
                        Err(DbError::Unique(_)) => Err(DbError::Refused(Error::NameTaken)),
                        answer => answer,
                    }
                })
            })
            .await?;
        match kept {
            true => Ok(filter),
            false => refuse(Field::Filter, Problem::TooMany(MOST_FILTERS)),
        }
    }

    /// Removes one.
    pub async fn delete_filter(&self, caller: &Caller, id: SavedFilterId) -> Result<(), Error> {
        caller.session()?;
        caller.authorise(Permission::SessionsView)?;
        let user = caller.user_id();
        let removed = self
            .write(move |tx, _| {
                Box::pin(async move { db::saved_filters::delete(tx, user, id).await })
            })
            .await?;
        removed.then_some(()).ok_or(Error::NotFound)
    }

    /// The columns that the caller has chosen.
    pub fn columns(&self, caller: &Caller) -> Result<Columns, Error> {
        caller.authorise(Permission::SessionsView)?;
        Ok(caller.viewer().columns)
    }

    /// Keeps a choice of columns with the caller.
    pub async fn set_columns(&self, caller: &Caller, columns: Columns) -> Result<(), Error> {
        caller.session()?;
        caller.authorise(Permission::SessionsView)?;
        let user = caller.user_id();
        self.write_then(
            move |tx, _| {
                Box::pin(async move { db::saved_filters::set_columns(tx, user, columns).await })
            },
            |service, ()| service.inner.cache.authority_changed(),
        )
        .await
    }
}
