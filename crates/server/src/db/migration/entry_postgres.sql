-- What stays the same of a session from its sign-in on, kept by triggers of `session`: PostgreSQL writes a
-- changed row anew, and an entry for it into every index of its table. What lists are searched and sorted by
-- lies here, so that neither an end nor activity writes it again; and a search reads a table of a third
-- of the size. So does the name that a token has for its session, which changes with a password only: in its index
-- every row lies on a page of its own.
--
-- The trigrams of pg_trgm know letters and digits only: of an address they see the numbers, not how they
-- follow each other. `letters` is the search text, which has no capital letters, with capital letters for
-- what stands between its words.
CREATE TABLE session_entry (
    number bigint NOT NULL PRIMARY KEY,
    id uuid NOT NULL,
    lineage_hash bytea NOT NULL,
    organisation_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    ip_bytes bytea NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    email text COLLATE "C" NOT NULL,
    browser_key text COLLATE "C" NOT NULL,
    letters text COLLATE "C" NOT NULL
);

-- `search_text::letters` in Rust does the same to what is searched for.
CREATE FUNCTION session_letters(search_text text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT translate(search_text, E'. @:-\n_/+(),''&#%\\*=~', 'QJXZVWKYHUOIGFADEBCL') $$;
