//! What Rollcall is about: ids, sessions, permissions, filters, errors, and the one trait through
//! which pages reach the server.
//!
//! **Invariant:** no I/O, no clock, no randomness, no SQL. Everything here is a value or a pure
//! function, builds for WebAssembly, and means the same on the server and in the browser.

pub mod address;
pub mod applications;
pub mod audit;
pub mod audit_query;
pub mod audit_words;
pub mod backend;
pub mod choices;
pub mod clients;
pub mod conditions;
pub mod error;
pub mod executions;
pub mod filter;
pub mod filter_words;
pub mod ids;
pub mod integrations;
pub mod integrations_backend;
pub mod keys;
pub mod mail;
pub mod many;
pub mod page;
pub mod people;
pub mod people_backend;
pub mod people_query;
pub mod permission;
pub mod policy;
pub mod providers;
pub mod query;
pub mod rights;
pub mod role;
pub mod rotation;
pub mod session;
pub mod sort;
pub mod time;
pub mod user;
pub mod viewer;
pub mod words;
pub mod work_backend;
pub mod zone;

pub use address::AddressRange;
pub use applications::{Introspection, OpenFor, TokenFacts, Whom};
pub use audit::{AuditAction, AuditEvent, AuditOutcome};
pub use audit_query::{AuditQuery, Who};
pub use backend::{Answer, Backend};
pub use choices::{Column, Columns, SavedFilter};
pub use clients::{
    Client, ClientQuery, ClientSort, ClientSortKey, ClientState, Command, RegisterClient,
};
pub use conditions::{Carried, Conditions, Filters, Span};
pub use error::{Error, Field, Problem};
pub use executions::{
    ClientRef, Dispatch, Execution, ExecutionQuery, ExecutionSource, ExecutionState, ForceLogout,
    RunningExecution, SessionWork, StartExecution,
};
pub use filter::{SessionFilter, SessionQuery, SessionSort, ShownFilter, ShownQuery, SortKey};
pub use filter_words::{FilterNames, FilterWords, ListedSessions};
pub use ids::{
    ApiKeyId, ClientId, EndPreviewId, ExecutionId, OrganisationId, ReceiverId, RoleKey,
    SavedFilterId, SessionId, UserId,
};
pub use integrations::{
    Confirmation, CreateReceiver, Delivery, DeliveryFailure, DeliveryId, DeliveryQuery,
    DeliveryState, EditReceiver, Initiator, Receiver, ReceiverFormat, ReceiverRef, ReceiverState,
    SessionEvent, TestDelivery,
};
pub use integrations_backend::IntegrationsBackend;
pub use keys::{ApiKey, CreateKey, KeyCreated, KeyState};
pub use mail::{MailBackend, Notice, ReportLink, ReportStep, ResetLink};
pub use many::{EndAllScope, EndChoice, EndRun, EndStage};
pub use page::{Page, PageNumber, PageSize};
pub use people::{
    CreateRole, CreateUser, EditOrganisation, EditRole, EditUser, Organisation, Role, RoleRef,
    ThrottledAddress, User, UserActs, UserCreated,
};
pub use people_backend::PeopleBackend;
pub use people_query::{NameQuery, UserFilter, UserQuery, UserSort, UserSortKey, UserState};
pub use permission::{Permission, Permissions};
pub use policy::{
    Policy, PolicyPlace, PolicyPreview, PolicySource, PolicyValue, Rule, SessionsBeyond, WhenFull,
};
pub use providers::{
    IdentityProvider, ProviderKey, ProvidersBackend, SaveProvider, SignOnChoice, WaysToConfirm,
};
pub use rights::Rights;
pub use role::{BuiltInRole, Reach};
pub use session::{Actor, EndReason, Ended, Kind, Method, Owner, Session, SessionStats, State};
pub use time::Timestamp;
pub use user::{Email, OrganisationRef, UserRef};
pub use viewer::{
    ChangePassword, EndResult, LastEnd, Leaving, Me, OwnScope, PendingSignIn, Profile, SignIn,
    SignInStep, Surroundings, Viewer,
};
pub use work_backend::WorkBackend;
pub use zone::Zone;
