-- Attempts of people to authorise. Times are seconds since the Unix epoch.
CREATE TABLE connection (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant      TEXT NOT NULL,
    profile     TEXT NOT NULL,
    provider    TEXT NOT NULL,
    -- A JSON list: all that is asked for.
    scopes      TEXT NOT NULL,
    -- created, waiting, connected or refused; one that is not over when its time is up has expired.
    state       TEXT NOT NULL,
    account     TEXT,
    reason      TEXT,
    -- The hash of the cookie of the browser that opened it.
    browser     BLOB,
    -- The hash of the `state` that the provider's answer has to bring.
    request     BLOB,
    -- What is needed to go on when the answer comes; bound to all of the above that is known before it.
    sealed      BLOB,
    -- When the answer came. From then on no other answer counts.
    answered_at INTEGER,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX connection_request ON connection (request) WHERE request IS NOT NULL;
CREATE INDEX connection_owner ON connection (tenant, profile, provider);

-- The conversations that wait for it.
CREATE TABLE connection_thread (
    connection TEXT NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    thread     TEXT NOT NULL,
    PRIMARY KEY (connection, thread)
) STRICT, WITHOUT ROWID;

-- Tokens of accounts that were disconnected and that their provider has yet to forget.
CREATE TABLE revocation (
    id       INTEGER NOT NULL PRIMARY KEY,
    tenant   TEXT NOT NULL,
    provider TEXT NOT NULL,
    sealed   BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    -- When to try again.
    due_at   INTEGER NOT NULL,
    -- When to give up.
    until    INTEGER NOT NULL
) STRICT;

-- Clients that this host registered with a provider by itself (RFC 7591), by where the browser is sent back to.
CREATE TABLE client (
    provider TEXT NOT NULL,
    redirect TEXT NOT NULL,
    sealed   BLOB NOT NULL,
    PRIMARY KEY (provider, redirect)
) STRICT, WITHOUT ROWID;
