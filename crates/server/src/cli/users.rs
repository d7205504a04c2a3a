//! `rollcall users`: what is done to accounts; most of it with the database at hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use rollcall_core::User;
use rollcall_core::role::BuiltInRole;
use serde_json::json;
use zeroize::Zeroizing;

use super::door::{Door, DoorArguments};
use super::filter::{PageArguments, address, given};
use super::keys::user_id;
use super::show::{self, Caution, Column, confirm, text, time};

use crate::app::{open, read_password};
use crate::config::StorageSettings;
use crate::service::Service;
use crate::service::admin::{AccountChange, CreateUser};
use crate::service::first_start::FIRST_ORGANISATION;

#[derive(Subcommand, Debug)]
pub(super) enum UsersCommand {
    /// Lists users by name. Needs `users.view`.
    List(ListArguments),
    /// Ends all sessions, executions and clients of a user. Needs `sessions.end`.
    Logout(LogoutArguments),
    /// Creates a user. Refused while a server runs on the database.
    Create(CreateArguments),
    /// Unlocks an account that wrong passwords locked. Works while a server runs.
    Unlock(EmailArguments),
    /// Gives a user a one-time password and ends all their sessions. Refused while a server runs on the
    /// database. Lifts no lock.
    ResetPassword(EmailArguments),
    /// Ends all sessions of a user and refuses every sign-in. Refused while a server runs on the database.
    Disable(EmailArguments),
    /// Lets a disabled user sign in again; what has ended stays ended. Refused while a server runs on the
    /// database.
    Enable(EmailArguments),
    /// Deletes a user for good; sessions and the audit trail keep name and e-mail. Refused while a server
    /// runs on the database.
    Delete(DeleteArguments),
}

#[derive(Args, Debug)]
pub(super) struct ListArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// Any part of name or e-mail.
    #[arg(long, short = 'q', value_name = "TEXT")]
    search: Option<String>,
    /// A role's key.
    #[arg(long, value_name = "KEY")]
    role: Option<String>,
    /// An organisation's id.
    #[arg(long, value_name = "ID")]
    organisation: Option<String>,
    /// `enabled`, `disabled` or `locked`.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// `true`: who has an active session.
    #[arg(long, value_name = "BOOL")]
    active: Option<String>,
    /// `true`: programs' accounts.
    #[arg(long, value_name = "BOOL")]
    service_account: Option<String>,
    #[command(flatten)]
    page: PageArguments,
}

#[derive(Args, Debug)]
pub(super) struct LogoutArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// Whom: an e-mail or an id.
    #[arg(value_name = "USER")]
    user: String,
    /// Why; kept with each session and in the audit trail.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    caution: Caution,
}

const COLUMNS: &[Column] = &[
    ("e-mail", |row| text(&row["email"])),
    ("name", |row| text(&row["name"])),
    ("role", |row| text(&row["role"]["name"])),
    ("organisation", |row| text(&row["organisation"]["name"])),
    ("state", |row| {
        match (row["enabled"].as_bool(), row["locked_at"].is_null()) {
            (Some(false), _) => "disabled".to_owned(),
            (_, false) => "locked".to_owned(),
            _ => "enabled".to_owned(),
        }
    }),
    ("last sign-in", |row| time(&row["last_sign_in_at"])),
    ("sessions", |row| {
        let open = row["open_sessions"].as_u64();
        open.unwrap_or_default().to_string()
    }),
    ("id", |row| text(&row["id"])),
];

async fn list(arguments: ListArguments) -> anyhow::Result<()> {
    let door = arguments.door.open().await?;
    let mut pairs = given(&[
        ("q", &arguments.search),
        ("role", &arguments.role),
        ("organisation", &arguments.organisation),
        ("state", &arguments.state),
        ("active", &arguments.active),
        ("service_account", &arguments.service_account),
    ]);
    pairs.extend(arguments.page.pairs());
    let page = door.get(&address("/api/v1/users", &pairs)).await;
    door.close().await;
    match arguments.door.json {
        true => show::json(&page?),
        false => show::page(&page?, COLUMNS, "users"),
    }
}

async fn log_out(arguments: LogoutArguments) -> anyhow::Result<()> {
    let door = arguments.door.open().await?;
    let done = log_out_at(&door, &arguments).await;
    door.close().await;
    done
}

async fn log_out_at(door: &Door, arguments: &LogoutArguments) -> anyhow::Result<()> {
    let id = user_id(door, &arguments.user).await?;
    let user = door.get(&format!("/api/v1/users/{id}")).await?;
    let pairs = [("user", id.clone()), ("state", "running".to_owned())];
    let running = door.get(&address("/api/v1/executions", &pairs)).await?;
    let question = format!(
        "{}: active sessions {}, running executions {}.",
        text(&user["email"]),
        user["open_sessions"],
        running["total"]
    );
    if arguments.caution.dry_run {
        match arguments.door.json {
            true => show::json(&user)?,
            false => println!("{question}"),
        }
        return Ok(());
    }
    if !confirm(&format!("{question} End them all?"), arguments.caution.yes)? {
        anyhow::bail!("nothing was ended");
    }
    let body = json!({ "reason": arguments.reason });
    let path = format!("/api/v1/users/{id}/force-logout");
    let ended = door.ask(Method::POST, &path, Some(&body)).await?;
    if arguments.door.json {
        return show::json(&ended);
    }
    println!(
        "Sessions ended: {}; executions terminated: {}; clients disconnected: {}.",
        ended["ended"],
        ended["executions"].as_array().map_or(0, Vec::len),
        ended["clients"]
    );
    Ok(())
}

#[derive(Args, Debug)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    storage: StorageSettings,
    /// The user name.
    #[arg(long)]
    email: String,
    /// What the user is called; the part of the e-mail before the @ where it is not given.
    #[arg(long, default_value = "")]
    name: String,
    /// The primary role.
    #[arg(long, default_value = "member", value_parser = role)]
    role: BuiltInRole,
    /// The organisation's name; it is made if there is none.
    #[arg(long, default_value = FIRST_ORGANISATION)]
    organisation: String,
    /// For a program's account.
    #[arg(long)]
    service_account: bool,
    /// A file that holds the password. Without it a one-time password is made and printed.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The least length of a password, in characters.
    #[arg(long, env = "ROLLCALL_PASSWORD_MIN_LENGTH", default_value_t = 15, value_parser = clap::value_parser!(u32).range(8..=64), hide = true)]
    password_min_length: u32,
    /// Says whether the user could be created, and creates nobody.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
pub(super) struct EmailArguments {
    #[command(flatten)]
    account: AccountArguments,
    /// Says what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    account: AccountArguments,
    #[command(flatten)]
    caution: Caution,
}

/// Whose account, and where.
#[derive(Args, Debug)]
struct AccountArguments {
    #[command(flatten)]
    storage: StorageSettings,
    /// The user name.
    #[arg(long)]
    email: String,
}

fn role(text: &str) -> Result<BuiltInRole, String> {
    BuiltInRole::from_key(text).ok_or_else(|| {
        let keys: Vec<_> = BuiltInRole::ALL.iter().map(|role| role.key()).collect();
        format!("write one of {}", keys.join(", "))
    })
}

pub(super) async fn run(command: UsersCommand) -> anyhow::Result<()> {
    match command {
        UsersCommand::List(arguments) => list(arguments).await,
        UsersCommand::Logout(arguments) => log_out(arguments).await,
        UsersCommand::Create(arguments) => create(arguments).await,
        UsersCommand::Unlock(arguments) => {
            let service = open(&arguments.account.storage, 15, false).await?;
            let done = unlock(&service, &arguments).await;
            service.shut_down().await;
            done
        }
        UsersCommand::ResetPassword(arguments) => {
            let service = open(&arguments.account.storage, 15, true).await?;
            let done = reset_password(&service, &arguments).await;
            service.shut_down().await;
            done
        }
        UsersCommand::Disable(arguments) => change(&arguments, AccountChange::Disable).await,
        UsersCommand::Enable(arguments) => change(&arguments, AccountChange::Enable).await,
        UsersCommand::Delete(arguments) => delete(&arguments).await,
    }
}

async fn unlock(service: &Service, arguments: &EmailArguments) -> anyhow::Result<()> {
    let email = &arguments.account.email;
    let (unlocked, words) = match arguments.dry_run {
        true => (
            look(service, email).await?.locked_at.is_some(),
            "would be unlocked",
        ),
        false => {
            let unlocked = service.unlock_user(email).await;
            (
                unlocked.map_err(|error| about(email, error))?,
                "is unlocked",
            )
        }
    };
    let words = if unlocked { words } else { "was not locked" };
    println!("{email} {words}.");
    Ok(())
}

async fn reset_password(service: &Service, arguments: &EmailArguments) -> anyhow::Result<()> {
    let email = &arguments.account.email;
    if arguments.dry_run {
        let sessions = look(service, email).await?.open_sessions;
        println!(
            "{email} would get a one-time password; active sessions that would end: {sessions}."
        );
        return Ok(());
    }
    let password = service.reset_password(email).await;
    print_one_time(email, &password.map_err(|error| about(email, error))?);
    println!("All their sessions have ended.");
    Ok(())
}

async fn change(arguments: &EmailArguments, change: AccountChange) -> anyhow::Result<()> {
    let service = open(&arguments.account.storage, 15, true).await?;
    let done = change_at(&service, arguments, change).await;
    service.shut_down().await;
    done
}

async fn change_at(
    service: &Service,
    arguments: &EmailArguments,
    change: AccountChange,
) -> anyhow::Result<()> {
    let email = &arguments.account.email;
    let disables = change == AccountChange::Disable;
    let (done, already) = match disables {
        true => (
            "is disabled; all their sessions have ended",
            "was disabled already",
        ),
        false => ("can sign in again", "was not disabled"),
    };
    if arguments.dry_run {
        let user = look(service, email).await?;
        match (user.enabled == disables, disables) {
            (false, _) => println!("{email} {already}."),
            (true, true) => println!(
                "{email} would be disabled; active sessions that would end: {}.",
                user.open_sessions
            ),
            (true, false) => println!("{email} could sign in again."),
        }
        return Ok(());
    }
    let changed = service.change_account(email, change).await;
    let changed = changed.map_err(|error| about(email, error))?;
    println!("{email} {}.", if changed { done } else { already });
    Ok(())
}

async fn delete(arguments: &DeleteArguments) -> anyhow::Result<()> {
    let service = open(&arguments.account.storage, 15, true).await?;
    let done = delete_at(&service, arguments).await;
    service.shut_down().await;
    done
}

async fn delete_at(service: &Service, arguments: &DeleteArguments) -> anyhow::Result<()> {
    let email = &arguments.account.email;
    let user = look(service, email).await?;
    if arguments.caution.dry_run {
        println!(
            "{email} would be deleted; active sessions that would end: {}.",
            user.open_sessions
        );
        return Ok(());
    }
    let question = format!(
        "{email} is deleted for good; active sessions that end: {}. Go on?",
        user.open_sessions
    );
    if !confirm(&question, arguments.caution.yes)? {
        anyhow::bail!("nobody was deleted");
    }
    let deleted = service.change_account(email, AccountChange::Delete).await;
    deleted.map_err(|error| about(email, error))?;
    println!("{email} is deleted; all their sessions have ended.");
    Ok(())
}

async fn look(service: &Service, email: &str) -> anyhow::Result<User> {
    let found = service.account(email).await;
    found.map_err(|error| about(email, error))
}

async fn create(arguments: CreateArguments) -> anyhow::Result<()> {
    let password = arguments
        .password_file
        .as_deref()
        .map(read_password)
        .transpose()?;
    let service = open(&arguments.storage, arguments.password_min_length, true).await?;
    let input = CreateUser {
        email: arguments.email.clone(),
        name: arguments.name,
        role: arguments.role,
        organisation: arguments.organisation,
        service_account: arguments.service_account,
        password,
    };
    let email = &arguments.email;
    if arguments.dry_run {
        let checked = service.check_new_user(input).await;
        service.shut_down().await;
        checked.map_err(|error| about(email, error))?;
        println!("{email} could be created.");
        return Ok(());
    }
    let created = service.create_user(input).await;
    service.shut_down().await;
    let (_, one_time) = created.map_err(|error| about(email, error))?;
    println!("{email} is created.");
    if let Some(password) = one_time {
        print_one_time(email, &password);
    }
    Ok(())
}

fn print_one_time(email: &str, password: &Zeroizing<String>) {
    println!("One-time password of {email}: {}", password.as_str());
    println!("It must be changed at the first sign-in.");
}

fn about(email: &str, error: rollcall_core::Error) -> anyhow::Error {
    match error {
        rollcall_core::Error::NotFound => anyhow::anyhow!("there is no user {email}"),
        error => anyhow::anyhow!("{error}"),
    }
}
