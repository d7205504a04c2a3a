//! `rollcall users`: what is done to accounts; most of it with the database at hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use rollcall_core::role::BuiltInRole;
use serde_json::json;
use zeroize::Zeroizing;

use super::door::{Door, DoorArguments};
use super::filter::{PageArguments, address, given};
use super::keys::user_id;
use super::show::{self, Caution, Column, confirm, text, time};

use crate::app::{open, read_password};
use crate::config::StorageSettings;
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
    Delete(EmailArguments),
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
}

#[derive(Args, Debug)]
pub(super) struct EmailArguments {
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
            let service = open(&arguments.storage, 15, false).await?;
            let unlocked = service
                .unlock_user(&arguments.email)
                .await
                .map_err(|error| about(&arguments.email, error))?;
            service.shut_down().await;
            let words = if unlocked {
                "is unlocked"
            } else {
                "was not locked"
            };
            println!("{} {words}.", arguments.email);
            Ok(())
        }
        UsersCommand::ResetPassword(arguments) => {
            let service = open(&arguments.storage, 15, true).await?;
            let password = service
                .reset_password(&arguments.email)
                .await
                .map_err(|error| about(&arguments.email, error))?;
            service.shut_down().await;
            print_one_time(&arguments.email, &password);
            println!("All their sessions have ended.");
            Ok(())
        }
        UsersCommand::Disable(arguments) => {
            let done = "is disabled; all their sessions have ended";
            change(
                arguments,
                AccountChange::Disable,
                done,
                "was disabled already",
            )
            .await
        }
        UsersCommand::Enable(arguments) => {
            let done = "can sign in again";
            change(arguments, AccountChange::Enable, done, "was not disabled").await
        }
        UsersCommand::Delete(arguments) => {
            let done = "is deleted; all their sessions have ended";
            change(
                arguments,
                AccountChange::Delete,
                done,
                "was deleted already",
            )
            .await
        }
    }
}

async fn change(
    arguments: EmailArguments,
    change: AccountChange,
    done: &str,
    already: &str,
) -> anyhow::Result<()> {
    let service = open(&arguments.storage, 15, true).await?;
    let changed = service
        .change_account(&arguments.email, change)
        .await
        .map_err(|error| about(&arguments.email, error))?;
    service.shut_down().await;
    println!(
        "{} {}.",
        arguments.email,
        if changed { done } else { already }
    );
    Ok(())
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
    let (_, one_time) = service
        .create_user(input)
        .await
        .map_err(|error| about(&arguments.email, error))?;
    service.shut_down().await;
    println!("{} is created.", arguments.email);
    if let Some(password) = one_time {
        print_one_time(&arguments.email, &password);
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
