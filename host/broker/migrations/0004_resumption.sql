-- Interrupted calls that went on: each may do so once. Kept until it could not be used anyway.
CREATE TABLE resumption (
    id         BLOB NOT NULL PRIMARY KEY,
    -- Seconds since the Unix epoch.
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
