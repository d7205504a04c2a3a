//! What the pages without scripts have in common.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_url};
use rollcall_core::{
    Backend, Error, Field, NameQuery, Page, PageSize, Permission, Reach, Rule, User, words,
};

use crate::app::use_surroundings;
use crate::components::error_view::{ErrorNotice, ErrorPage};
use crate::routes;
use crate::rpc;
use crate::ui::icon::{Glyph, Icon};
use crate::ui::loading::Loaded;
use crate::ui::pager::offered;

/// The backend of the request.
pub(super) fn backend() -> Result<Arc<dyn Backend>, Error> {
    rpc::backend().map_err(|error| error.0)
}

/// What a page shows once its data is there; an error is a page of its own.
pub(super) fn when_there<F>(work: impl Fn() -> F + Send + 'static) -> AnyView
where
    F: Future<Output = Result<AnyView, Error>> + Send + 'static,
{
    let content = move || {
        let work = work();
        async move {
            match work.await {
                Ok(view) => view,
                Err(error) => view! { <ErrorPage error /> }.into_any(),
            }
        }
    };
    view! { <Loaded content /> }.into_any()
}

/// The one card of a page for people who need not be signed in.
pub(super) fn alone(content: AnyView) -> AnyView {
    view! {
        <main class="alone" id="main">
            <section class="panel card">
                <p class="brand"><Glyph icon=Icon::Brand />"Rollcall"</p>
                {content}
            </section>
        </main>
    }
    .into_any()
}

/// Whether the viewer has this permission.
pub(super) fn may(permission: Permission) -> bool {
    let viewer = use_surroundings().viewer;
    viewer.is_some_and(|viewer| viewer.may(permission))
}

/// Whether the viewer sees all organisations.
pub(super) fn sees_all() -> bool {
    let viewer = use_surroundings().viewer;
    viewer.is_some_and(|viewer| viewer.reach == Reach::All)
}

/// The query string of the address.
pub(super) fn search() -> String {
    use_url().read_untracked().search().to_owned()
}

/// A part of the path.
pub(super) fn part(name: &'static str) -> String {
    use_params_map()
        .read_untracked()
        .get(name)
        .unwrap_or_default()
}

/// A list of roles or organisations that fills one select.
pub(super) fn all() -> NameQuery {
    NameQuery::parse_leniently("page_size=100")
}

/// Why the form failed that led back here.
pub(super) fn failed(action: &'static str) -> AnyView {
    rpc::failure(action).map(refused).into_any()
}

/// Why what somebody asked for could not be done.
pub(super) fn refused(error: Error) -> AnyView {
    match error {
        Error::Invalid(field, problem) => {
            let words = format!("{} {problem}.", label(field));
            view! { <div class="notice failed" role="alert"><p>{words}</p></div> }.into_any()
        }
        error => view! { <ErrorNotice error /> }.into_any(),
    }
}

fn label(field: Field) -> String {
    let words = match field {
        Field::Email => "E-mail",
        Field::Name => "Name",
        Field::Role => "Primary role",
        Field::Roles => "One of the secondary roles",
        Field::Permissions => "One of the permissions",
        Field::Organisation => "Organisation",
        Field::Days => "The number of days",
        other => {
            let rule = Rule::from_name(other.as_str());
            return rule.map_or(other.as_str().to_owned(), |rule| {
                format!("\u{201c}{}\u{201d}", super::policy::label(rule))
            });
        }
    };
    words.to_owned()
}

/// "as of 09:45:02 UTC".
pub(super) fn as_of(at: rollcall_core::Timestamp) -> AnyView {
    let zone = use_surroundings().zone;
    let text = format!("as of {} {}", zone.time_of_day(at), zone.name);
    view! { <span class="since">{text}</span> }.into_any()
}

/// "1 open session", "1,204 open sessions".
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!(
        "{} {word}",
        words::grouped(i64::try_from(number).unwrap_or(i64::MAX))
    )
}

/// Whether the account can be used, as tags.
pub(super) fn state_tags(user: &User) -> AnyView {
    view! {
        {if user.enabled {
            view! { <span class="tag green dot">"Enabled"</span> }.into_any()
        } else {
            view! { <span class="tag red dot">"Disabled"</span> }.into_any()
        }}
        {user.locked_at.is_some().then(|| view! { " "<span class="tag amber dot">"Locked"</span> })}
        {user.password_change_required.then(|| view! { " "<span class="tag">"one-time password"</span> })}
    }
    .into_any()
}

/// Name and e-mail, as a link to the user's page.
pub(super) fn who(user: &User) -> AnyView {
    let address = routes::user(&user.id.to_string());
    view! {
        <td class="who" title=user.email.clone()>
            <a href=address>
                <b>{user.name.clone()}</b>
                {user.service_account.then(|| view! { <span class="tag">"service account"</span> })}
                <span class="sub">{user.email.clone()}</span>
            </a>
        </td>
    }
    .into_any()
}

/// The primary role, and the others beneath it.
pub(super) fn roles_cell(user: &User) -> AnyView {
    let more: Vec<_> = user.roles.iter().map(|role| role.name.clone()).collect();
    let more = (!more.is_empty()).then(|| format!("also {}", more.join(", ")));
    let title = more.clone();
    view! { <td title=title>{user.role.name.clone()}<span class="sub">{more}</span></td> }
        .into_any()
}

/// What the foot of a list needs to know.
pub(super) struct Foot {
    path: String,
    /// The query of the list, without its page.
    query: String,
    page: u32,
    page_size: u32,
    total: u64,
    exact: bool,
}

impl Foot {
    /// The foot of this page of a list at `path`, asked for by `query`.
    pub(super) fn of<T>(list: &Page<T>, path: &str, query: &str) -> Self {
        Self {
            path: path.to_owned(),
            query: routes::without_page(query),
            page: list.page,
            page_size: list.page_size,
            total: list.total,
            exact: list.total_is_exact,
        }
    }
}

/// The foot of a list: how many there are, rows on a page, and the way to every page.
pub(super) fn pager(foot: Foot) -> AnyView {
    let Foot {
        path,
        query,
        page,
        page_size,
        total,
        exact,
    } = foot;
    let pages = total.div_ceil(u64::from(page_size.max(1))).max(1);
    let address = |number: u32| routes::page_of(&path, &query, number, page_size);
    let counted = counted(total, "item", "items");
    let counted = match exact {
        true => format!("Total {counted}"),
        false => format!("More than {counted}"),
    };
    let step = |label: &'static str, sign: &'static str, number: u32, there: bool| match there {
        true => {
            view! { <a href=address(number) aria-label=label title=label>{sign}</a> }.into_any()
        }
        false => view! { <span class="off" aria-hidden="true">{sign}</span> }.into_any(),
    };
    let numbers = offered(u64::from(page), pages)
        .into_iter()
        .map(
            |number| match number.and_then(|number| u32::try_from(number).ok()) {
                Some(number) => {
                    let text = words::grouped(i64::from(number));
                    let here = (number == page).then_some("page");
                    let label = format!("Page {text}");
                    view! { <a href=address(number) aria-current=here aria-label=label>{text}</a> }
                        .into_any()
                }
                None => view! { <span class="off">"…"</span> }.into_any(),
            },
        )
        .collect_view();
    let last = u32::try_from(pages).unwrap_or(u32::MAX);
    let links = (pages > 1).then(|| {
        view! {
            <nav class="pages" aria-label="Pages">
                {step("First page", "«", 1, page > 1)}
                {step("Previous page", "‹", page.saturating_sub(1).clamp(1, last), page > 1)}
                {numbers}
                {step("Next page", "›", page.saturating_add(1), page < last)}
                {step("Last page", "»", last, page < last && exact)}
            </nav>
        }
    });
    let hidden = rollcall_core::query::pairs(&query)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| view! { <input type="hidden" name=name value=value /> })
        .collect_view();
    let sizes = PageSize::OFFERED
        .map(|rows| view! { <option value=rows.to_string() selected=rows == page_size>{format!("{rows} per page")}</option> })
        .collect_view();
    let size = (total > u64::from(PageSize::default().get())).then(|| {
        view! {
            <form method="get" action=path.clone() class="inline">
                {hidden}
                <label>
                    <span class="visually-hidden">"Rows per page"</span>
                    <select name="page_size">{sizes}</select>
                </label>
                <button class="button">"Show"</button>
            </form>
        }
    });
    view! {
        <div class="pager">
            <span class="num">{counted}</span>
            <span class="grow"></span>
            {size}
            {links}
        </div>
    }
    .into_any()
}

/// A list without rows: what would be here, and what to do.
pub(super) fn empty(
    heading: &'static str,
    words: &'static str,
    link: Option<(String, &'static str)>,
) -> AnyView {
    let link = link.map(|(href, label)| view! { <p><a class="button" href=href>{label}</a></p> });
    view! {
        <div class="empty">
            <h2>{heading}</h2>
            <p>{words}</p>
            {link}
        </div>
    }
    .into_any()
}

/// A table with a caption that scrolls inside its panel.
pub(super) fn table(caption: &'static str, headings: AnyView, rows: AnyView) -> AnyView {
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=caption>
            <table>
                <caption class="visually-hidden">{caption}</caption>
                <thead><tr>{headings}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// Options of a select.
pub(super) fn options(list: Vec<(String, String)>, chosen: &str) -> AnyView {
    list.into_iter()
        .map(|(value, label)| {
            let selected = value == chosen;
            view! { <option value=value selected=selected>{label}</option> }
        })
        .collect_view()
        .into_any()
}
