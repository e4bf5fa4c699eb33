-- Why the provider will not renew a credential: 'ended' or 'uncertain'; NULL where nothing is known to be wrong.
-- Goes when the credential is written anew. Not bound to the ciphertext.
ALTER TABLE credential ADD COLUMN trouble TEXT;

-- A refresh that was begun and whose answer is not stored yet. Written before the request, deleted with the answer.
CREATE TABLE refresh (
    tenant     TEXT NOT NULL,
    profile    TEXT NOT NULL,
    provider   TEXT NOT NULL,
    -- The generation of the credential that is to be renewed.
    generation INTEGER NOT NULL,
    -- BLAKE3 of the refresh token.
    token_hash BLOB NOT NULL,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, profile, provider)
) STRICT, WITHOUT ROWID;

-- The profile that serves a provider where a call names none.
CREATE TABLE default_profile (
    tenant   TEXT NOT NULL,
    provider TEXT NOT NULL,
    profile  TEXT NOT NULL,
    -- Binds the choice to this vault: whoever can only write here must not choose an account.
    seal     BLOB NOT NULL,
    PRIMARY KEY (tenant, provider)
) STRICT, WITHOUT ROWID;
