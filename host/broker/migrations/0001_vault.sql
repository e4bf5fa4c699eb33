-- One row: what the key that seals all credentials is itself sealed with.
CREATE TABLE vault (
    id          INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Random; binds every ciphertext to this vault.
    identity    BLOB NOT NULL,
    -- Where the master key is found, as JSON.
    keeper      TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    -- The generation that was given last. Never given twice, so that no old ciphertext fits a later row.
    generation  INTEGER NOT NULL
) STRICT;

-- Times are seconds since the Unix epoch. All columns are bound to the ciphertext.
CREATE TABLE credential (
    tenant     TEXT NOT NULL,
    profile    TEXT NOT NULL,
    provider   TEXT NOT NULL,
    generation INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    -- A JSON list; NULL where nobody said what the credential allows.
    scopes     TEXT,
    account    TEXT,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, profile, provider)
) STRICT, WITHOUT ROWID;
