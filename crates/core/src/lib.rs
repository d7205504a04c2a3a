//! What Rollcall is about: ids, sessions, permissions, filters, errors, and the one trait through
//! which pages reach the server.
//!
//! **Invariant:** no I/O, no clock, no randomness, no SQL. Everything here is a value or a pure
//! function, builds for WebAssembly, and means the same on the server and in the browser.

pub mod audit;
pub mod backend;
pub mod error;
pub mod filter;
pub mod ids;
pub mod page;
pub mod people;
pub mod people_backend;
pub mod people_query;
pub mod permission;
pub mod query;
pub mod rights;
pub mod role;
pub mod rotation;
pub mod session;
pub mod time;
pub mod user;
pub mod viewer;
pub mod words;
pub mod zone;

pub use audit::{AuditAction, AuditEvent, AuditOutcome};
pub use backend::{Answer, Backend};
pub use error::{Error, Field, Problem};
pub use filter::{AuditQuery, SessionFilter, SessionQuery, SessionSort, SortKey};
pub use ids::{OrganisationId, RoleKey, SessionId, UserId};
pub use page::{Page, PageNumber, PageSize};
pub use people::{
    CreateRole, CreateUser, EditOrganisation, EditRole, EditUser, Organisation, Role, RoleRef,
    User, UserActs, UserCreated,
};
pub use people_backend::PeopleBackend;
pub use people_query::{NameQuery, UserFilter, UserQuery, UserSort, UserSortKey, UserState};
pub use permission::{Permission, Permissions};
pub use rights::Rights;
pub use role::{BuiltInRole, Reach};
pub use session::{Actor, EndReason, Ended, Kind, Method, Session, SessionStats, State};
pub use time::Timestamp;
pub use user::{Email, OrganisationRef, UserRef};
pub use viewer::{
    ChangePassword, EndResult, LastEnd, Me, OwnScope, Profile, SignIn, Surroundings, Viewer,
};
pub use zone::Zone;
