-- What the triggers of `session` keep, counted anew from its rows.
DELETE FROM session_counter;
INSERT INTO session_counter (organisation_id, kind, total, active, ended_ms, active_created_ms)
SELECT organisation_id, kind, count(*), sum(ended_at IS NULL),
    sum(CASE WHEN ended_at IS NULL THEN 0 ELSE ended_at / 1000 - created_at / 1000 END),
    sum(CASE WHEN ended_at IS NULL THEN created_at / 1000 - 1735689600000 ELSE 0 END)
FROM session GROUP BY organisation_id, kind;
DELETE FROM session_owner;
INSERT INTO session_owner (user_id, organisation_id, sessions, active)
SELECT user_id, organisation_id, count(*), sum(ended_at IS NULL) FROM session GROUP BY user_id, organisation_id;
DELETE FROM session_agent;
INSERT INTO session_agent (user_agent, browser, system, method, sessions)
SELECT user_agent, browser, system, method, count(*) FROM session GROUP BY user_agent, browser, system, method;
DELETE FROM session_of_agent;
INSERT INTO session_of_agent (agent, number)
SELECT a.number, s.number FROM session s JOIN session_agent a ON a.user_agent = s.user_agent
    AND a.browser = s.browser AND a.system = s.system AND a.method = s.method ORDER BY a.number, s.number;

-- Nobody looked whether an epoch had overtaken a row; the sweeper will.
UPDATE "user" SET settled = false WHERE ended_before IS NOT NULL OR NOT enabled OR deleted_at IS NOT NULL;
UPDATE organisation SET settled = false WHERE ended_before IS NOT NULL OR NOT enabled;
UPDATE installation SET settled = false WHERE ended_before IS NOT NULL;

INSERT INTO session_search (session_search) VALUES ('delete-all');
INSERT INTO session_search (rowid, search_text, organisation, kind)
SELECT number, search_text || char(10) || char(10), substr(hex(organisation_id), 30), substr(kind, 1, 3)
FROM session ORDER BY number;
PRAGMA cache_size = -16000;
