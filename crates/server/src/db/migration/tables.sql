-- Tables and indexes, for both databases. What stands in braces is replaced by each database's own words. Texts compare byte by byte on both; times are microseconds since 1970 UTC.

CREATE TABLE organisation (
    id {uuid} NOT NULL PRIMARY KEY,
    name {text} NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    ended_before bigint,
    ended_before_reason {text},
    ended_before_by {uuid},
    ended_before_note {text},
    settled boolean NOT NULL DEFAULT true,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX organisation_name_unique ON organisation (name);
CREATE INDEX organisation_unsettled ON organisation (id) WHERE NOT settled;

CREATE TABLE role (
    key {text} NOT NULL PRIMARY KEY,
    name {text} NOT NULL,
    permissions bigint NOT NULL,
    reach {text} NOT NULL,
    organisation_id {uuid} REFERENCES organisation (id)
);
CREATE UNIQUE INDEX role_organisation_id_name_unique ON role (organisation_id, name) WHERE organisation_id IS NOT NULL;

CREATE TABLE "user" (
    id {uuid} NOT NULL PRIMARY KEY,
    organisation_id {uuid} NOT NULL REFERENCES organisation (id),
    email {text} NOT NULL,
    name {text} NOT NULL,
    role_key {text} NOT NULL REFERENCES role (key),
    service_account boolean NOT NULL DEFAULT false,
    password_hash {text},
    password_change_required boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT true,
    deleted_at bigint,
    time_zone {text},
    -- The columns of the table of sessions, as bits.
    session_columns bigint,
    created_at bigint NOT NULL,
    password_changed_at bigint,
    last_sign_in_at bigint,
    ended_before bigint,
    ended_before_reason {text},
    ended_before_by {uuid},
    ended_before_note {text},
    settled boolean NOT NULL DEFAULT true,
    name_key {text} NOT NULL,
    search_text {text} NOT NULL
);
-- A deleted user's e-mail is free again.
CREATE UNIQUE INDEX user_email_unique ON "user" (email) WHERE deleted_at IS NULL;
-- The audit trail is asked for users by e-mail, deleted ones too.
CREATE INDEX user_by_email ON "user" (email, id);
CREATE INDEX user_by_organisation ON "user" (organisation_id, id);
CREATE INDEX user_by_role ON "user" (role_key, organisation_id, deleted_at) WHERE deleted_at IS NULL;
-- Lists of sessions are asked for those of programs' accounts.
CREATE INDEX user_service_account ON "user" (id) WHERE service_account;
CREATE INDEX user_unsettled ON "user" (id) WHERE NOT settled;

-- What somebody asks the list of sessions for again and again.
CREATE TABLE saved_filter (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    name {text} NOT NULL,
    query {text} NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX saved_filter_user_id_name_unique ON saved_filter (user_id, name);

-- Secondary roles; the primary one stands with the user.
CREATE TABLE user_role (
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    role_key {text} NOT NULL REFERENCES role (key),
    PRIMARY KEY (user_id, role_key)
){keyed};
CREATE INDEX user_role_by_role ON user_role (role_key, user_id);

-- What programs show instead of a password. Whatever takes the owner's password or account away revokes them.
CREATE TABLE api_key (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    hash {bytes} NOT NULL,
    name {text} NOT NULL,
    permissions bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    last_used_at bigint,
    revoked_at bigint,
    revoked_by {uuid}
);
CREATE UNIQUE INDEX api_key_hash_unique ON api_key (hash);
CREATE INDEX api_key_by_user ON api_key (user_id, created_at, id);

CREATE TABLE installation (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    ended_before bigint,
    ended_before_reason {text},
    ended_before_by {uuid},
    ended_before_note {text},
    settled boolean NOT NULL DEFAULT true
);
INSERT INTO installation (id) VALUES (1);

CREATE TABLE session (
    number {number},
    id {uuid} NOT NULL,
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    organisation_id {uuid} NOT NULL REFERENCES organisation (id),
    lineage_hash {bytes} NOT NULL,
    secret_hash {bytes} NOT NULL,
    rotation_key {bytes} NOT NULL,
    generation bigint NOT NULL,
    first_used_at bigint,
    name {text} NOT NULL,
    kind {text} NOT NULL,
    method {text} NOT NULL,
    keep boolean NOT NULL,
    ip {text} NOT NULL,
    ip_bytes {bytes} NOT NULL,
    user_agent {text} NOT NULL,
    browser {text} NOT NULL,
    system {text} NOT NULL,
    server_name {text} NOT NULL,
    email {text} NOT NULL,
    name_key {text} NOT NULL,
    browser_key {text} NOT NULL,
    search_text {text} NOT NULL,
    created_at bigint NOT NULL,
    -- When the password was last entered.
    authenticated_at bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    idle_timeout_seconds bigint NOT NULL,
    idle_expires_at bigint NOT NULL,
    absolute_expires_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    ended_at bigint,
    end_reason {text},
    ended_by {uuid},
    end_note {text}
);
CREATE UNIQUE INDEX session_id_unique ON session (id);
CREATE UNIQUE INDEX session_lineage_hash_unique ON {entry} (lineage_hash);

-- The lists walk along these. Organisation and kind in an index let a walk pass by rows without reading
-- them, the text lets it search them: a row is read once its place on the page is certain. Kinds come first
-- where programs and people differ in what the order is by; a walk through all of them is a merge.
--
-- An end must be cheap: what it costs is the pages that it changes, a page for each index in which its
-- rows lie far apart. Hence the orders that have nothing to do with time have one index for rows with and
-- without a stored end, which an end does not touch; session_ended_by_number tells which rows have one.
-- Only orders in which ended rows lie far behind the others have a half for each, and in those the rows
-- of an end lie close together. "Live" here is a row without a stored end. PostgreSQL, where an end writes to
-- every index of its table, has the others on a table of their own, {entry}.
CREATE INDEX session_by_created ON {entry} (created_at, id, kind);
CREATE INDEX session_by_ip ON {entry} (kind, ip_bytes, id, organisation_id{and_letters};
CREATE INDEX session_by_name ON {entry} (kind, name_key, id, organisation_id{and_letters};
CREATE INDEX session_by_email ON {entry} (kind, email, id, organisation_id{and_letters};
CREATE INDEX session_by_browser ON {entry} (kind, browser_key, id, organisation_id{and_letters};
CREATE INDEX session_by_organisation ON session (organisation_id, created_at, id, kind{and_text};
-- The longest of the live ones is the oldest.
CREATE INDEX session_live_by_created ON session (created_at, id, kind, organisation_id{and_text} WHERE ended_at IS NULL;
CREATE INDEX session_{by_activity}by_activity ON session (last_activity_at, id, kind, organisation_id{and_text}{of_activity};
CREATE INDEX session_ended_by_created ON session (created_at, id, kind, organisation_id{and_text} WHERE ended_at IS NOT NULL;
CREATE INDEX session_ended_by_activity ON session (last_activity_at, id, kind, organisation_id{and_text} WHERE ended_at IS NOT NULL;
CREATE INDEX session_ended_by_duration ON session ((ended_at - created_at), id, kind, organisation_id{and_ends} WHERE ended_at IS NOT NULL;
-- One user's rows.
CREATE INDEX session_by_user ON session (user_id, created_at, id);
-- With all that the cards need to know about rows that have expired but are not swept. By the minute and the
-- creation, because rows that are ended or used together began together, and then lie together.
CREATE INDEX session_live_by_expiry ON session ((expires_at / 60000000), created_at, expires_at, organisation_id, kind, id) WHERE ended_at IS NULL;
-- What retention deletes, and whether a row has a stored end.
CREATE INDEX session_ended_by_end ON session (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX session_ended_by_number ON session (number) WHERE ended_at IS NOT NULL;

-- Programs that registered and keep a live connection. The session of each is one like any other; until that has ended
-- it tells all there is to know.
CREATE TABLE client (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    organisation_id {uuid} NOT NULL REFERENCES organisation (id),
    session_id {uuid} NOT NULL,
    -- What it hangs on: the session or the API key that registered it.
    by_session {uuid},
    by_key {uuid},
    name {text} NOT NULL,
    version {text} NOT NULL,
    host {text} NOT NULL,
    ip {text} NOT NULL,
    search_text {text} NOT NULL,
    registered_at bigint NOT NULL,
    -- As of the end; the session's own until then.
    last_heartbeat_at bigint NOT NULL,
    ended_at bigint,
    end_reason {text},
    ended_by {uuid},
    removed_at bigint
);
CREATE UNIQUE INDEX client_session_id_unique ON client (session_id);
CREATE INDEX client_by_user ON client (user_id, id);
CREATE INDEX client_by_organisation ON client (organisation_id, id);
CREATE INDEX client_by_end ON client (ended_at) WHERE ended_at IS NOT NULL;
-- Whether there is any, and what hangs on what.
CREATE INDEX client_live_by_session ON client (by_session) WHERE ended_at IS NULL;
CREATE INDEX client_live_by_key ON client (by_key) WHERE ended_at IS NULL;

-- What runs on behalf of a user, and what it hangs on: a session or an API key, and the client that it runs on.
CREATE TABLE execution (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    organisation_id {uuid} NOT NULL REFERENCES organisation (id),
    started_by {uuid} NOT NULL REFERENCES "user" (id),
    by_session {uuid},
    by_key {uuid},
    client_id {uuid},
    artefact_id {text} NOT NULL,
    artefact_kind {text} NOT NULL,
    name {text} NOT NULL,
    source {text} NOT NULL,
    -- What the client was told to run, and when it began; NULL where it began by itself.
    run {text},
    taken_at bigint,
    state {text} NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    end_reason {text},
    ended_by {uuid},
    -- The client has said that it has stopped; until then it is told again.
    stop_confirmed boolean NOT NULL DEFAULT false,
    -- The force logout that terminated it.
    act_id {uuid}
);
CREATE INDEX execution_by_user ON execution (user_id, started_at, id);
CREATE INDEX execution_by_organisation ON execution (organisation_id, started_at, id);
CREATE INDEX execution_by_start ON execution (started_at, id);
CREATE INDEX execution_by_session ON execution (by_session, started_at, id) WHERE by_session IS NOT NULL;
CREATE INDEX execution_by_client ON execution (client_id, started_at, id) WHERE client_id IS NOT NULL;
CREATE INDEX execution_by_act ON execution (act_id) WHERE act_id IS NOT NULL;
CREATE INDEX execution_running_by_user ON execution (user_id) WHERE ended_at IS NULL;
CREATE INDEX execution_running_by_session ON execution (by_session) WHERE ended_at IS NULL;
CREATE INDEX execution_running_by_key ON execution (by_key) WHERE ended_at IS NULL;
CREATE INDEX execution_running_by_client ON execution (client_id) WHERE ended_at IS NULL;
CREATE INDEX execution_to_stop ON execution (client_id) WHERE state = 'terminated' AND NOT stop_confirmed;

-- What was set for the installation (an organisation of zeros), an organisation, or a role in it.
CREATE TABLE policy (
    organisation_id {uuid} NOT NULL,
    role_key {text} NOT NULL,
    rule {text} NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (organisation_id, role_key, rule)
){keyed};

-- Which sessions somebody is about to end, sealed: a sign-in after it is not swept in. Items are removed as they are
-- ended; the row tells what became of it.
CREATE TABLE end_preview (
    id {uuid} NOT NULL PRIMARY KEY,
    owner_session {uuid} NOT NULL,
    owner {uuid} NOT NULL,
    owner_name {text} NOT NULL,
    -- NULL where the owner reaches all organisations.
    organisation_id {uuid},
    sessions bigint NOT NULL,
    users bigint NOT NULL,
    administrators bigint NOT NULL,
    expires_at bigint NOT NULL,
    started_at bigint,
    reason {text},
    ip {text} NOT NULL,
    user_agent {text} NOT NULL,
    request_id {text} NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    ended bigint NOT NULL DEFAULT 0,
    finished_at bigint
);
CREATE INDEX end_preview_running ON end_preview (started_at) WHERE started_at IS NOT NULL AND finished_at IS NULL;
CREATE INDEX end_preview_by_age ON end_preview (expires_at);
CREATE TABLE end_preview_item (
    preview_id {uuid} NOT NULL,
    place bigint NOT NULL,
    session_id {uuid} NOT NULL,
    PRIMARY KEY (preview_id, place)
){keyed};

CREATE TABLE sign_in_attempt (
    name {text} NOT NULL PRIMARY KEY,
    tries bigint NOT NULL,
    locked_at bigint,
    last_at bigint NOT NULL
);
CREATE INDEX sign_in_attempt_by_age ON sign_in_attempt (last_at) WHERE locked_at IS NULL;
CREATE INDEX sign_in_attempt_locked ON sign_in_attempt (name, locked_at) WHERE locked_at IS NOT NULL;

-- Sign-ins with a right password that wait for their users to choose which sessions end. One for each user; used once.
CREATE TABLE sign_in_ticket (
    secret_hash {bytes} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL,
    -- What the password was compared with, hashed once more: another password makes the ticket void.
    proof {bytes} NOT NULL,
    name {text} NOT NULL,
    keep boolean NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE INDEX sign_in_ticket_by_user ON sign_in_ticket (user_id);
CREATE INDEX sign_in_ticket_by_age ON sign_in_ticket (expires_at);

CREATE TABLE audit_event (
    sequence bigint NOT NULL PRIMARY KEY,
    at bigint NOT NULL,
    actor_id {uuid},
    actor_name {text} NOT NULL,
    target_id {uuid},
    target_name {text} NOT NULL,
    target_email {text} NOT NULL,
    organisation_id {uuid},
    action {text} NOT NULL,
    outcome {text} NOT NULL,
    session_id {uuid},
    detail {text},
    ip {text} NOT NULL,
    ip_bytes {bytes},
    user_agent {text} NOT NULL,
    request_id {text} NOT NULL,
    hmac {bytes} NOT NULL
);
CREATE INDEX audit_event_by_organisation ON audit_event (organisation_id, sequence);
CREATE INDEX audit_event_by_session ON audit_event (session_id, sequence) WHERE session_id IS NOT NULL;
CREATE INDEX audit_event_by_target ON audit_event (target_id, sequence) WHERE target_id IS NOT NULL;
CREATE INDEX audit_event_by_actor ON audit_event (actor_id, sequence) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_event_by_action ON audit_event (action, sequence);
-- Success is no way to find anything: nearly all events have it.
CREATE INDEX audit_event_by_outcome ON audit_event (outcome, sequence) WHERE outcome <> 'success';
CREATE INDEX audit_event_by_address ON audit_event (ip_bytes, sequence) WHERE ip_bytes IS NOT NULL;
CREATE INDEX audit_event_by_time ON audit_event (at, sequence);

-- The newest number and HMAC; locked by whoever appends.
CREATE TABLE audit_head (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    sequence bigint NOT NULL,
    hmac {bytes} NOT NULL
);

-- What the cards show, kept by triggers. Milliseconds since 2025 keep a sum over millions of rows
-- within 64 bits: ended_ms = sum of (ended_at / 1000 - created_at / 1000) of rows with a stored end,
-- active_created_ms = sum of (created_at / 1000 - 1735689600000) of rows without one.
CREATE TABLE session_counter (
    organisation_id {uuid} NOT NULL,
    kind {text} NOT NULL,
    total bigint NOT NULL,
    active bigint NOT NULL,
    ended_ms bigint NOT NULL,
    active_created_ms bigint NOT NULL,
    PRIMARY KEY (organisation_id, kind)
);
-- How many sessions a user has in an organisation, and how many of them without a stored end: the first
-- and the last one change the number of distinct users.
CREATE TABLE session_owner (
    user_id {uuid} NOT NULL,
    organisation_id {uuid} NOT NULL,
    sessions bigint NOT NULL,
    active bigint NOT NULL,
    PRIMARY KEY (user_id, organisation_id)
){keyed};
-- With what and how people signed in, each combination once, and how many sessions have it; kept by triggers. Lists are
-- asked for parts of these texts: here they stand once for many sessions, and an end does not touch them.
CREATE TABLE session_agent (
    number {number},
    user_agent {text} NOT NULL,
    browser {text} NOT NULL,
    system {text} NOT NULL,
    method {text} NOT NULL,
    sessions bigint NOT NULL
);
CREATE UNIQUE INDEX session_agent_unique ON session_agent (user_agent, browser, system, method);
CREATE TABLE session_of_agent (
    agent bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (agent, number)
){keyed};
-- Distinct users of each organisation; the id of zeros stands for the whole installation.
CREATE TABLE session_owner_total (
    organisation_id {uuid} NOT NULL PRIMARY KEY,
    users bigint NOT NULL
);
-- Codes that lead a browser into a protected host, each used once.
CREATE TABLE host_code (
    secret_hash {bytes} NOT NULL PRIMARY KEY,
    host {text} NOT NULL,
    state_hash {bytes} NOT NULL,
    lineage_hash {bytes} NOT NULL,
    expires_at bigint NOT NULL
){keyed};
-- What a session is known by on a protected host. Never rotates, and is worth nothing without its session.
CREATE TABLE host_credential (
    secret_hash {bytes} NOT NULL PRIMARY KEY,
    host {text} NOT NULL,
    lineage_hash {bytes} NOT NULL,
    created_at bigint NOT NULL
){keyed};
-- Who elsewhere is told about sessions, and how that goes.
CREATE TABLE receiver (
    id {uuid} NOT NULL PRIMARY KEY,
    name {text} NOT NULL,
    url {text} NOT NULL,
    format {text} NOT NULL,
    audience {text} NOT NULL,
    tells_created boolean NOT NULL,
    tells_ended boolean NOT NULL,
    tells_email boolean NOT NULL,
    created_at bigint NOT NULL,
    paused_at bigint,
    gone boolean NOT NULL DEFAULT false,
    -- In a row, since when, and until when nothing is sent to it for that.
    failures bigint NOT NULL DEFAULT 0,
    failing_since bigint,
    next_try_at bigint NOT NULL DEFAULT 0,
    last_accepted_at bigint
);
CREATE UNIQUE INDEX receiver_name_unique ON receiver (name);
-- The outbox: what receivers are told, written by triggers in the transaction of what they are told of, as it was then.
-- Numbers of one session are in the order of what happened to it.
CREATE TABLE delivery (
    number {number},
    receiver_id {uuid} NOT NULL,
    event {text} NOT NULL,
    session_id {uuid} NOT NULL,
    user_id {uuid} NOT NULL,
    organisation_id {uuid} NOT NULL,
    email {text} NOT NULL,
    kind {text} NOT NULL,
    method {text} NOT NULL,
    created_at bigint NOT NULL,
    end_reason {text},
    ended_by {uuid},
    occurred_at bigint NOT NULL,
    waiting boolean NOT NULL,
    attempts bigint NOT NULL,
    next_try_at bigint NOT NULL,
    -- Somebody is sending it until then.
    claimed_until bigint,
    last_tried_at bigint,
    last_status bigint,
    failure {text},
    -- For the first time: sending it again does not change it.
    accepted_at bigint
);
CREATE UNIQUE INDEX delivery_unique ON delivery (receiver_id, session_id, event);
CREATE INDEX delivery_by_receiver ON delivery (receiver_id, number);
CREATE INDEX delivery_by_session ON delivery (session_id);
CREATE INDEX delivery_waiting ON delivery (receiver_id, number) WHERE waiting;
CREATE INDEX delivery_accepted ON delivery (accepted_at) WHERE NOT waiting;
-- Whoever else may say who somebody is. What a file of the server sets up is not stored.
CREATE TABLE identity_provider (
    key {text} NOT NULL PRIMARY KEY,
    label {text} NOT NULL,
    issuer {text} NOT NULL,
    client_id {text} NOT NULL,
    -- Where the secret is, never the secret.
    secret {text},
    -- Divided by spaces; rules by line breaks.
    scopes {text} NOT NULL,
    rules {text} NOT NULL,
    trusts_emails boolean NOT NULL,
    max_age_seconds bigint,
    acr_values {text} NOT NULL,
    signs_out boolean NOT NULL,
    enabled boolean NOT NULL
);
-- Who a user is elsewhere: issuer and subject, never the e-mail alone.
CREATE TABLE user_identity (
    issuer {text} NOT NULL,
    subject {text} NOT NULL,
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    created_at bigint NOT NULL,
    PRIMARY KEY (issuer, subject)
){keyed};
CREATE INDEX user_identity_by_user ON user_identity (user_id);
-- What a session is at the provider that it began with, so that a sign-out there finds it.
CREATE TABLE session_identity (
    session_id {uuid} NOT NULL PRIMARY KEY,
    provider {text} NOT NULL,
    issuer {text} NOT NULL,
    subject {text} NOT NULL,
    sid {text}
){keyed};
CREATE INDEX session_identity_by_subject ON session_identity (issuer, subject, sid);
CREATE INDEX session_identity_by_sid ON session_identity (issuer, sid) WHERE sid IS NOT NULL;
-- What is good once: sign-ins that came back, and tokens that told of a sign-out.
CREATE TABLE spent (
    hash {bytes} NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
){keyed};
CREATE INDEX spent_by_age ON spent (expires_at);
-- From where users have signed in: each browser and network once, as long as it is used. One that came later than the
-- user's first is news, until the user has said whose it was.
CREATE TABLE user_device (
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    device {text} NOT NULL,
    network {text} NOT NULL,
    -- The session that was the first one from there.
    session_id {uuid} NOT NULL,
    first_seen_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    is_news boolean NOT NULL,
    PRIMARY KEY (user_id, device, network)
){keyed};
CREATE INDEX user_device_by_age ON user_device (seen_at);
-- Mails, those on their way and those that were sent: what each tells of, and what its links are good for.
CREATE TABLE mail_letter (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES "user" (id),
    kind {text} NOT NULL,
    -- As it was when there was something to tell.
    email {text} NOT NULL,
    session_id {uuid},
    device {text} NOT NULL,
    ip {text} NOT NULL,
    -- The hash of the user's password hash: another password makes the link void.
    proof {bytes},
    created_at bigint NOT NULL,
    -- When it is not worth sending any more, and its link good for nothing.
    expires_at bigint NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    -- When to send it; NULL once it was sent or given up.
    next_at bigint,
    sent_at bigint,
    -- How far its link was used.
    step bigint NOT NULL DEFAULT 0
);
CREATE INDEX mail_letter_due ON mail_letter (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX mail_letter_by_user ON mail_letter (user_id, kind, created_at);
CREATE INDEX mail_letter_by_age ON mail_letter (expires_at);
-- The links of a mail: each time that it is sent it has another one, and all are good for the same.
CREATE TABLE mail_link (
    secret_hash {bytes} NOT NULL PRIMARY KEY,
    letter_id {uuid} NOT NULL REFERENCES mail_letter (id)
){keyed};
CREATE INDEX mail_link_by_letter ON mail_link (letter_id);
