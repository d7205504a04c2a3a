-- Whether a word is common decides how it is looked for; the usual 100 samples are too few to tell.
ALTER TABLE session_entry ALTER COLUMN letters SET STATISTICS 500;

-- Statement triggers with transition tables: ending 10,000 rows at once is one update of a counter.
-- Counter rows are taken in the order of their keys, so that two transactions cannot wait for each
-- other within one statement.

CREATE FUNCTION session_counted_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO session_counter AS c (organisation_id, kind, total, active, ended_ms, active_created_ms)
    SELECT organisation_id, kind, count(*), count(*) FILTER (WHERE ended_at IS NULL),
        coalesce(sum(ended_at / 1000 - created_at / 1000) FILTER (WHERE ended_at IS NOT NULL), 0)::bigint,
        coalesce(sum(created_at / 1000 - 1735689600000) FILTER (WHERE ended_at IS NULL), 0)::bigint
    FROM added GROUP BY organisation_id, kind ORDER BY organisation_id, kind
    ON CONFLICT (organisation_id, kind) DO UPDATE SET
        total = c.total + excluded.total,
        active = c.active + excluded.active,
        ended_ms = c.ended_ms + excluded.ended_ms,
        active_created_ms = c.active_created_ms + excluded.active_created_ms;
    INSERT INTO session_owner AS c (user_id, organisation_id, sessions, active)
    SELECT user_id, organisation_id, count(*), count(*) FILTER (WHERE ended_at IS NULL) FROM added
    GROUP BY user_id, organisation_id ORDER BY user_id, organisation_id
    ON CONFLICT (user_id, organisation_id) DO UPDATE SET
        sessions = c.sessions + excluded.sessions, active = c.active + excluded.active;
    INSERT INTO session_entry (number, id, lineage_hash, organisation_id, kind, created_at, ip_bytes, name_key, email,
        browser_key, letters)
    SELECT number, id, lineage_hash, organisation_id, kind, created_at, ip_bytes, name_key, email, browser_key, session_letters(search_text)
    FROM added;
    INSERT INTO session_agent AS c (user_agent, browser, system, method, sessions)
    SELECT user_agent, browser, system, method, count(*) FROM added
    GROUP BY user_agent, browser, system, method ORDER BY user_agent, browser, system, method
    ON CONFLICT (user_agent, browser, system, method) DO UPDATE SET sessions = c.sessions + excluded.sessions;
    INSERT INTO session_of_agent (agent, number)
    SELECT a.number, n.number FROM added n JOIN session_agent a ON a.user_agent = n.user_agent
        AND a.browser = n.browser AND a.system = n.system AND a.method = n.method;
    -- Rows that are dead on arrival, because an epoch overtook their sign-in.
    UPDATE "user" u SET settled = false FROM added a
    WHERE u.id = a.user_id AND (u.ended_before >= a.created_at OR NOT u.enabled OR u.deleted_at IS NOT NULL);
    UPDATE organisation o SET settled = false FROM added a
    WHERE o.id = a.organisation_id AND (o.ended_before >= a.created_at OR NOT o.enabled);
    UPDATE installation SET settled = false WHERE ended_before >= (SELECT min(created_at) FROM added);
    -- What receivers are told is written with what it is about, whoever writes that.
    IF EXISTS (SELECT FROM receiver WHERE tells_created AND paused_at IS NULL) THEN
        INSERT INTO delivery (receiver_id, event, session_id, user_id, organisation_id, email, kind, method, created_at,
            end_reason, ended_by, occurred_at, waiting, attempts, next_try_at)
        SELECT r.id, 'session.created', n.id, n.user_id, n.organisation_id, n.email, n.kind, n.method,
            n.created_at, NULL, NULL, n.created_at, true, 0, n.created_at
        FROM added n CROSS JOIN receiver r
        WHERE n.ended_at IS NULL AND r.tells_created AND r.paused_at IS NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER session_counted_insert AFTER INSERT ON session
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION session_counted_insert();

-- Organisation, user, kind, created_at, method and user agent of a session never change. A trigger with a transition table
-- cannot name columns, so that the first question is whether there is any end at all: uses and rotations have none.
--
-- The tables are summed up, not joined: a plan is made once for each connection, for as many rows as its first
-- statement happened to change, and what suits one row compares each of a thousand with every other. The counters
-- are all there, and ON CONFLICT changes them in the order of their keys without a plan for each.
CREATE FUNCTION session_counted_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM after WHERE ended_at IS NOT NULL)
        AND NOT EXISTS (SELECT FROM before WHERE ended_at IS NOT NULL)
    THEN
        RETURN NULL;
    END IF;
    INSERT INTO session_counter AS c (organisation_id, kind, total, active, ended_ms, active_created_ms)
    SELECT organisation_id, kind, 0, sum(active), sum(ended_ms), sum(active_created_ms)
    FROM (
        SELECT organisation_id, kind, CASE WHEN ended_at IS NULL THEN 1 ELSE 0 END AS active,
            CASE WHEN ended_at IS NULL THEN 0 ELSE ended_at / 1000 - created_at / 1000 END AS ended_ms,
            CASE WHEN ended_at IS NULL THEN created_at / 1000 - 1735689600000 ELSE 0 END AS active_created_ms
        FROM after
        UNION ALL
        SELECT organisation_id, kind, CASE WHEN ended_at IS NULL THEN -1 ELSE 0 END,
            CASE WHEN ended_at IS NULL THEN 0 ELSE created_at / 1000 - ended_at / 1000 END,
            CASE WHEN ended_at IS NULL THEN 1735689600000 - created_at / 1000 ELSE 0 END
        FROM before
    ) changed
    -- What changes no counter, such as another e-mail, takes none: its transaction holds the user already.
    GROUP BY organisation_id, kind HAVING sum(active) <> 0 OR sum(ended_ms) <> 0 OR sum(active_created_ms) <> 0
    ORDER BY organisation_id, kind
    ON CONFLICT (organisation_id, kind) DO UPDATE SET
        active = c.active + excluded.active,
        ended_ms = c.ended_ms + excluded.ended_ms,
        active_created_ms = c.active_created_ms + excluded.active_created_ms;
    INSERT INTO session_owner AS o (user_id, organisation_id, sessions, active)
    SELECT user_id, organisation_id, 0, sum(active)
    FROM (
        SELECT user_id, organisation_id, CASE WHEN ended_at IS NULL THEN 1 ELSE 0 END AS active FROM after
        UNION ALL
        SELECT user_id, organisation_id, CASE WHEN ended_at IS NULL THEN -1 ELSE 0 END FROM before
    ) changed
    GROUP BY user_id, organisation_id HAVING sum(active) <> 0 ORDER BY user_id, organisation_id
    ON CONFLICT (user_id, organisation_id) DO UPDATE SET active = o.active + excluded.active;
    -- What receivers are told is written with what it is about, whoever writes that.
    IF EXISTS (SELECT FROM receiver WHERE tells_ended AND paused_at IS NULL) THEN
        INSERT INTO delivery (receiver_id, event, session_id, user_id, organisation_id, email, kind, method, created_at,
            end_reason, ended_by, occurred_at, waiting, attempts, next_try_at)
        SELECT r.id, 'session.ended', a.id, a.user_id, a.organisation_id, a.email, a.kind, a.method,
            a.created_at, a.end_reason, a.ended_by, a.ended_at, true, 0, a.ended_at
        FROM after a CROSS JOIN receiver r
        WHERE a.ended_at IS NOT NULL AND a.number NOT IN (SELECT number FROM before WHERE ended_at IS NOT NULL)
            AND r.tells_ended AND r.paused_at IS NULL
        ORDER BY a.ended_at, a.number
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER session_counted_end AFTER UPDATE ON session
REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION session_counted_end();

-- A row trigger, because those alone can name columns: an end or a use does not even ask.
CREATE FUNCTION session_entry_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE session_entry SET lineage_hash = NEW.lineage_hash, name_key = NEW.name_key, email = NEW.email,
        letters = session_letters(NEW.search_text)
    WHERE number = NEW.number;
    RETURN NULL;
END $$;
CREATE TRIGGER session_entry_update AFTER UPDATE OF lineage_hash, name_key, email, search_text ON session
FOR EACH ROW EXECUTE FUNCTION session_entry_update();

CREATE FUNCTION session_counted_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        SELECT organisation_id, kind, count(*) AS total, count(*) FILTER (WHERE ended_at IS NULL) AS active,
            coalesce(sum(ended_at / 1000 - created_at / 1000) FILTER (WHERE ended_at IS NOT NULL), 0)::bigint AS ended_ms,
            coalesce(sum(created_at / 1000 - 1735689600000) FILTER (WHERE ended_at IS NULL), 0)::bigint AS active_created_ms
        FROM removed GROUP BY organisation_id, kind ORDER BY organisation_id, kind
    LOOP
        UPDATE session_counter SET
            total = total - change.total,
            active = active - change.active,
            ended_ms = ended_ms - change.ended_ms,
            active_created_ms = active_created_ms - change.active_created_ms
        WHERE organisation_id = change.organisation_id AND kind = change.kind;
    END LOOP;
    FOR change IN
        SELECT user_id, organisation_id, count(*) AS sessions, count(*) FILTER (WHERE ended_at IS NULL) AS active
        FROM removed
        GROUP BY user_id, organisation_id ORDER BY user_id, organisation_id
    LOOP
        UPDATE session_owner SET sessions = sessions - change.sessions, active = active - change.active
        WHERE user_id = change.user_id AND organisation_id = change.organisation_id;
    END LOOP;
    DELETE FROM session_entry e USING removed r WHERE e.number = r.number;
    DELETE FROM session_owner s USING removed r
    WHERE s.user_id = r.user_id AND s.organisation_id = r.organisation_id AND s.sessions = 0;
    DELETE FROM session_of_agent m USING removed r, session_agent a
    WHERE m.number = r.number AND m.agent = a.number AND a.user_agent = r.user_agent
        AND a.browser = r.browser AND a.system = r.system AND a.method = r.method;
    FOR change IN
        SELECT user_agent, browser, system, method, count(*) AS sessions FROM removed
        GROUP BY user_agent, browser, system, method ORDER BY user_agent, browser, system, method
    LOOP
        UPDATE session_agent SET sessions = sessions - change.sessions WHERE user_agent = change.user_agent
            AND browser = change.browser AND system = change.system AND method = change.method;
        DELETE FROM session_agent WHERE user_agent = change.user_agent AND browser = change.browser
            AND system = change.system AND method = change.method AND sessions = 0;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER session_counted_delete AFTER DELETE ON session
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION session_counted_delete();

CREATE FUNCTION session_owner_counted_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Nearly always the owner is known already.
    IF NOT EXISTS (SELECT FROM added) THEN
        RETURN NULL;
    END IF;
    INSERT INTO session_owner_total AS t (organisation_id, users)
    SELECT organisation_id, count(*) FROM added GROUP BY organisation_id ORDER BY organisation_id
    ON CONFLICT (organisation_id) DO UPDATE SET users = t.users + excluded.users;
    INSERT INTO session_owner_total AS t (organisation_id, users)
    SELECT '00000000-0000-0000-0000-000000000000', count(DISTINCT a.user_id) FROM added a
    WHERE NOT EXISTS (
        SELECT 1 FROM session_owner s
        WHERE s.user_id = a.user_id
            AND NOT EXISTS (SELECT 1 FROM added b WHERE b.user_id = s.user_id AND b.organisation_id = s.organisation_id)
    )
    ON CONFLICT (organisation_id) DO UPDATE SET users = t.users + excluded.users;
    RETURN NULL;
END $$;
CREATE TRIGGER session_owner_counted_insert AFTER INSERT ON session_owner
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION session_owner_counted_insert();

CREATE FUNCTION session_owner_counted_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        SELECT organisation_id, count(*) AS users FROM removed GROUP BY organisation_id ORDER BY organisation_id
    LOOP
        UPDATE session_owner_total SET users = users - change.users WHERE organisation_id = change.organisation_id;
    END LOOP;
    UPDATE session_owner_total SET users = users - (
        SELECT count(DISTINCT r.user_id) FROM removed r
        WHERE NOT EXISTS (SELECT 1 FROM session_owner s WHERE s.user_id = r.user_id)
    )
    WHERE organisation_id = '00000000-0000-0000-0000-000000000000';
    RETURN NULL;
END $$;
CREATE TRIGGER session_owner_counted_delete AFTER DELETE ON session_owner
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION session_owner_counted_delete();

-- Whatever ends sessions by a row of its own makes that row unsettled, whoever writes it.
CREATE FUNCTION unsettle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.settled := false;
    RETURN NEW;
END $$;
CREATE TRIGGER user_unsettles BEFORE UPDATE OF ended_before, enabled, deleted_at ON "user" FOR EACH ROW
WHEN (NEW.ended_before IS DISTINCT FROM OLD.ended_before OR NEW.enabled IS DISTINCT FROM OLD.enabled
    OR NEW.deleted_at IS DISTINCT FROM OLD.deleted_at)
EXECUTE FUNCTION unsettle();
CREATE TRIGGER organisation_unsettles BEFORE UPDATE OF ended_before, enabled ON organisation FOR EACH ROW
WHEN (NEW.ended_before IS DISTINCT FROM OLD.ended_before OR NEW.enabled IS DISTINCT FROM OLD.enabled)
EXECUTE FUNCTION unsettle();
CREATE TRIGGER installation_unsettles BEFORE UPDATE OF ended_before ON installation FOR EACH ROW
WHEN (NEW.ended_before IS DISTINCT FROM OLD.ended_before)
EXECUTE FUNCTION unsettle();

CREATE FUNCTION audit_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail cannot be changed';
END $$;
CREATE TRIGGER audit_event_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
FOR EACH STATEMENT EXECUTE FUNCTION audit_event_stays();

INSERT INTO audit_head (id, sequence, hmac) VALUES (1, 0, decode(repeat('00', 32), 'hex'));
