//! The server functions about saved filters and chosen columns. Only pages without scripts ask them, see `people`.

use leptos::prelude::*;
use rollcall_core as model;

use super::on_server::{Field, Problem, SessionQuery, backend, id, routes};
use super::{Answer, Rpc, RpcError};

/// See `Backend::describe_filter`.
#[server(prefix = "/rpc", endpoint = "describe_filter", output = Answer)]
pub async fn describe_filter(#[server(default)] query: String) -> Rpc<Vec<model::FilterWords>> {
    let filter = SessionQuery::parse(&query)?.filter;
    Ok(backend()?.describe_filter(filter).await?)
}

/// See `Backend::saved_filters`.
#[server(prefix = "/rpc", endpoint = "saved_filters", output = Answer)]
pub async fn saved_filters() -> Rpc<Vec<model::SavedFilter>> {
    Ok(backend()?.saved_filters().await?)
}

/// See `Backend::save_filter`.
#[server(prefix = "/rpc", endpoint = "save_filter", output = Answer)]
pub async fn save_filter(
    #[server(default)] name: String,
    #[server(default)] query: String,
) -> Rpc<model::SavedFilter> {
    let backend = backend()?;
    let asked = SessionQuery::parse(&query)?;
    let saved = backend.save_filter(name, asked).await?;
    backend.redirect(&routes::session_filters(&saved.query));
    Ok(saved)
}

/// See `Backend::delete_filter`.
#[server(prefix = "/rpc", endpoint = "delete_filter", output = Answer)]
pub async fn delete_filter(#[server(default)] filter: String) -> Rpc<()> {
    let backend = backend()?;
    backend.delete_filter(id(&filter, Field::Id)?).await?;
    backend.redirect(&routes::session_filters(""));
    Ok(())
}

/// See `Backend::columns`.
#[server(prefix = "/rpc", endpoint = "columns", output = Answer)]
pub async fn columns() -> Rpc<model::Columns> {
    Ok(backend()?.columns().await?)
}

/// See `Backend::set_columns`. `restore` is the button that takes the choice back.
#[server(prefix = "/rpc", endpoint = "set_columns", output = Answer)]
pub async fn set_columns(
    #[server(default)] columns: Vec<String>,
    restore: Option<String>,
) -> Rpc<()> {
    let backend = backend()?;
    let column = |name: &String| {
        model::Column::from_name(name).ok_or(RpcError(model::Error::Invalid(
            Field::Columns,
            Problem::NotOffered,
        )))
    };
    let chosen = match restore {
        Some(_) => model::Columns::default(),
        None => model::Columns::of(&columns.iter().map(column).collect::<Rpc<Vec<_>>>()?),
    };
    backend.set_columns(chosen).await?;
    backend.redirect(routes::SESSIONS);
    Ok(())
}
