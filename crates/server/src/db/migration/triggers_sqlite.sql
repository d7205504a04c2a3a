-- Row triggers: SQLite has no others, and one writer.

-- Organisation, user, kind, created_at, method and user agent of a session never change.
CREATE TRIGGER session_counted_insert AFTER INSERT ON session BEGIN
    INSERT INTO session_counter (organisation_id, kind, total, active, ended_ms, active_created_ms)
    VALUES (
        NEW.organisation_id, NEW.kind, 1, NEW.ended_at IS NULL,
        CASE WHEN NEW.ended_at IS NULL THEN 0 ELSE NEW.ended_at / 1000 - NEW.created_at / 1000 END,
        CASE WHEN NEW.ended_at IS NULL THEN NEW.created_at / 1000 - 1735689600000 ELSE 0 END
    )
    ON CONFLICT (organisation_id, kind) DO UPDATE SET
        total = total + 1,
        active = active + excluded.active,
        ended_ms = ended_ms + excluded.ended_ms,
        active_created_ms = active_created_ms + excluded.active_created_ms;
    INSERT INTO session_owner (user_id, organisation_id, sessions, active)
    VALUES (NEW.user_id, NEW.organisation_id, 1, NEW.ended_at IS NULL)
    ON CONFLICT (user_id, organisation_id) DO UPDATE SET sessions = sessions + 1, active = active + excluded.active;
    INSERT INTO session_agent (user_agent, browser, system, method, sessions)
    VALUES (NEW.user_agent, NEW.browser, NEW.system, NEW.method, 1)
    ON CONFLICT (user_agent, browser, system, method) DO UPDATE SET sessions = sessions + 1;
    INSERT INTO session_of_agent (agent, number)
    SELECT a.number, NEW.number FROM session_agent a WHERE a.user_agent = NEW.user_agent
        AND a.browser = NEW.browser AND a.system = NEW.system AND a.method = NEW.method;
    -- A row that is dead on arrival, because an epoch overtook its sign-in.
    UPDATE "user" SET settled = false
    WHERE id = NEW.user_id AND (ended_before >= NEW.created_at OR NOT enabled OR deleted_at IS NOT NULL);
    UPDATE organisation SET settled = false
    WHERE id = NEW.organisation_id AND (ended_before >= NEW.created_at OR NOT enabled);
    UPDATE installation SET settled = false WHERE ended_before >= NEW.created_at;
END;

CREATE TRIGGER session_counted_end AFTER UPDATE OF ended_at ON session
WHEN OLD.ended_at IS NOT NEW.ended_at BEGIN
    UPDATE session_counter SET
        active = active - (OLD.ended_at IS NULL) + (NEW.ended_at IS NULL),
        ended_ms = ended_ms
            - CASE WHEN OLD.ended_at IS NULL THEN 0 ELSE OLD.ended_at / 1000 - OLD.created_at / 1000 END
            + CASE WHEN NEW.ended_at IS NULL THEN 0 ELSE NEW.ended_at / 1000 - NEW.created_at / 1000 END,
        active_created_ms = active_created_ms
            - CASE WHEN OLD.ended_at IS NULL THEN OLD.created_at / 1000 - 1735689600000 ELSE 0 END
            + CASE WHEN NEW.ended_at IS NULL THEN NEW.created_at / 1000 - 1735689600000 ELSE 0 END
    WHERE organisation_id = NEW.organisation_id AND kind = NEW.kind;
    UPDATE session_owner SET active = active - (OLD.ended_at IS NULL) + (NEW.ended_at IS NULL)
    WHERE user_id = NEW.user_id AND organisation_id = NEW.organisation_id;
END;

CREATE TRIGGER session_counted_delete AFTER DELETE ON session BEGIN
    UPDATE session_counter SET
        total = total - 1,
        active = active - (OLD.ended_at IS NULL),
        ended_ms = ended_ms
            - CASE WHEN OLD.ended_at IS NULL THEN 0 ELSE OLD.ended_at / 1000 - OLD.created_at / 1000 END,
        active_created_ms = active_created_ms
            - CASE WHEN OLD.ended_at IS NULL THEN OLD.created_at / 1000 - 1735689600000 ELSE 0 END
    WHERE organisation_id = OLD.organisation_id AND kind = OLD.kind;
    UPDATE session_owner SET sessions = sessions - 1, active = active - (OLD.ended_at IS NULL)
    WHERE user_id = OLD.user_id AND organisation_id = OLD.organisation_id;
    DELETE FROM session_owner
    WHERE user_id = OLD.user_id AND organisation_id = OLD.organisation_id AND sessions = 0;
    DELETE FROM session_of_agent WHERE number = OLD.number AND agent = (
        SELECT a.number FROM session_agent a WHERE a.user_agent = OLD.user_agent
            AND a.browser = OLD.browser AND a.system = OLD.system AND a.method = OLD.method);
    UPDATE session_agent SET sessions = sessions - 1 WHERE user_agent = OLD.user_agent
        AND browser = OLD.browser AND system = OLD.system AND method = OLD.method;
    DELETE FROM session_agent WHERE user_agent = OLD.user_agent
        AND browser = OLD.browser AND system = OLD.system AND method = OLD.method AND sessions = 0;
END;

-- What receivers are told is written with what it is about, whoever writes that. Without receivers it costs a look at an
-- empty table.
CREATE TRIGGER session_told_created AFTER INSERT ON session WHEN NEW.ended_at IS NULL BEGIN
    INSERT INTO delivery (receiver_id, event, session_id, user_id, organisation_id, email, kind, method, created_at,
        end_reason, ended_by, occurred_at, waiting, attempts, next_try_at)
    SELECT r.id, 'session.created', NEW.id, NEW.user_id, NEW.organisation_id, NEW.email, NEW.kind, NEW.method,
        NEW.created_at, NULL, NULL, NEW.created_at, true, 0, NEW.created_at
    FROM receiver r WHERE r.tells_created AND r.paused_at IS NULL
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER session_told_ended AFTER UPDATE OF ended_at ON session
WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL BEGIN
    INSERT INTO delivery (receiver_id, event, session_id, user_id, organisation_id, email, kind, method, created_at,
        end_reason, ended_by, occurred_at, waiting, attempts, next_try_at)
    SELECT r.id, 'session.ended', NEW.id, NEW.user_id, NEW.organisation_id, NEW.email, NEW.kind, NEW.method,
        NEW.created_at, NEW.end_reason, NEW.ended_by, NEW.ended_at, true, 0, NEW.ended_at
    FROM receiver r WHERE r.tells_ended AND r.paused_at IS NULL
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER session_owner_counted_insert AFTER INSERT ON session_owner BEGIN
    INSERT INTO session_owner_total (organisation_id, users) VALUES (NEW.organisation_id, 1)
    ON CONFLICT (organisation_id) DO UPDATE SET users = users + 1;
    INSERT INTO session_owner_total (organisation_id, users)
    SELECT zeroblob(16), 1
    WHERE NOT EXISTS (
        SELECT 1 FROM session_owner
        WHERE user_id = NEW.user_id AND organisation_id <> NEW.organisation_id
    )
    ON CONFLICT (organisation_id) DO UPDATE SET users = users + 1;
END;

CREATE TRIGGER session_owner_counted_delete AFTER DELETE ON session_owner BEGIN
    UPDATE session_owner_total SET users = users - 1 WHERE organisation_id = OLD.organisation_id;
    UPDATE session_owner_total SET users = users - 1
    WHERE organisation_id = zeroblob(16)
        AND NOT EXISTS (SELECT 1 FROM session_owner WHERE user_id = OLD.user_id);
END;

-- All that lists of users filter and sort by, in the order of names: no list reads whole rows to find its
-- page, and the first page needs no sorting. (SQLite looks at deleted_at all the same, so it is in them.) Here only: PostgreSQL reads the rows as fast, and without them a
-- sign-in changes no index of users there.
CREATE INDEX user_list ON "user" (name_key, id, organisation_id, email, role_key, enabled, service_account,
    created_at, last_sign_in_at, search_text, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX user_list_of_organisation ON "user" (organisation_id, name_key, id, email, role_key, enabled,
    service_account, created_at, last_sign_in_at, search_text, deleted_at) WHERE deleted_at IS NULL;

-- Whatever ends sessions by a row of its own makes that row unsettled, whoever writes it.
CREATE TRIGGER user_unsettles AFTER UPDATE OF ended_before, enabled, deleted_at ON "user"
WHEN NEW.ended_before IS NOT OLD.ended_before OR NEW.enabled IS NOT OLD.enabled
    OR NEW.deleted_at IS NOT OLD.deleted_at
BEGIN
    UPDATE "user" SET settled = false WHERE id = NEW.id;
END;

CREATE TRIGGER organisation_unsettles AFTER UPDATE OF ended_before, enabled ON organisation
WHEN NEW.ended_before IS NOT OLD.ended_before OR NEW.enabled IS NOT OLD.enabled
BEGIN
    UPDATE organisation SET settled = false WHERE id = NEW.id;
END;

CREATE TRIGGER installation_unsettles AFTER UPDATE OF ended_before ON installation
WHEN NEW.ended_before IS NOT OLD.ended_before
BEGIN
    UPDATE installation SET settled = false;
END;

CREATE TRIGGER audit_event_keeps BEFORE UPDATE ON audit_event BEGIN
    SELECT RAISE(ABORT, 'the audit trail cannot be changed');
END;

CREATE TRIGGER audit_event_stays BEFORE DELETE ON audit_event BEGIN
    SELECT RAISE(ABORT, 'the audit trail cannot be changed');
END;

-- The search index: every three letters in a row. Two line feeds at the end make every letter the
-- first of some three, so that words of one and two letters can be looked up among the terms. Three
-- digits of the organisation's id thin out the rows of others; who shares them is told apart later.
-- Three letters tell the kinds apart.
CREATE VIRTUAL TABLE session_search USING fts5 (
    search_text, organisation, kind, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE session_search_term USING fts5vocab (session_search, row);

CREATE TRIGGER session_searched_insert AFTER INSERT ON session BEGIN
    INSERT INTO session_search (rowid, search_text, organisation, kind)
    VALUES (
        NEW.number, NEW.search_text || char(10) || char(10), substr(hex(NEW.organisation_id), 30),
        substr(NEW.kind, 1, 3)
    );
END;

CREATE TRIGGER session_searched_update AFTER UPDATE OF search_text ON session
WHEN OLD.search_text <> NEW.search_text BEGIN
    UPDATE session_search SET search_text = NEW.search_text || char(10) || char(10),
        organisation = substr(hex(NEW.organisation_id), 30), kind = substr(NEW.kind, 1, 3)
    WHERE rowid = NEW.number;
END;

CREATE TRIGGER session_searched_delete AFTER DELETE ON session BEGIN
    DELETE FROM session_search WHERE rowid = OLD.number;
END;

INSERT INTO audit_head (id, sequence, hmac) VALUES (1, 0, zeroblob(32));
