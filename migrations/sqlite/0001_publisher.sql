-- The same tables as on PostgreSQL, without the schema.
-- Instants are text, RFC 3339 in UTC with milliseconds ('2026-03-01T09:00:00.000Z'), so that they sort as text.
-- A trigger brings other spellings ('2026-03-01 09:00', '2026-03-01T10:00:00+01:00') into that form;
-- a time without an offset is UTC. The tables are STRICT: text in a number's place, or a blob in a text's, is refused.

CREATE TABLE accounts (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Whose account this is (a client, a team). Owners are served round-robin.
    owner            TEXT NOT NULL CHECK (owner <> ''),
    -- The platform's name: facebook, instagram, linkedin, youtube, slack.
    platform         TEXT NOT NULL CHECK (platform GLOB '[a-z]*' AND platform NOT GLOB '*[^a-z0-9_-]*'),
    -- The platform's own id: page id, Instagram user id, author URN, YouTube channel id, Slack channel id.
    external_id      TEXT NOT NULL CHECK (external_id <> ''),
    -- A name for people.
    display_name     TEXT NOT NULL DEFAULT '',
    -- IANA zone in which this account's local times are meant.
    timezone         TEXT NOT NULL DEFAULT 'UTC',
    -- The sealed token (see `publisher accounts add`); null until one is stored.
    credentials      TEXT,
    -- When the access token ends; null if never or unknown.
    token_expires_at TEXT CHECK (token_expires_at IS strftime('%Y-%m-%dT%H:%M:%fZ', token_expires_at, '+0 days')),
    -- The run (a uuid) that is refreshing the token, and until when nobody else may.
    token_held_by    TEXT,
    token_held_until TEXT,
    -- active | needs_login (a person must connect it again) | disabled. Posts of accounts that are not active wait.
    status           TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'needs_login', 'disabled')),
    -- No post of this account is claimed before this instant (a rate limit).
    blocked_until    TEXT CHECK (blocked_until IS strftime('%Y-%m-%dT%H:%M:%fZ', blocked_until, '+0 days')),
    -- Why it is blocked, in words.
    blocked_reason   TEXT,
    -- JSON object of per-account settings, typed per platform.
    settings         TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings) AND json_type(settings) = 'object'),
    created_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (platform, external_id)
) STRICT;

CREATE TABLE posts (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Where it goes.
    account_id       INTEGER NOT NULL REFERENCES accounts (id),
    -- The same content sent to several accounts shares a group.
    group_id         TEXT,
    kind             TEXT NOT NULL DEFAULT 'post' CHECK (kind IN ('post', 'story', 'reel', 'reply')),
    -- The text, as a person wrote it (escaping is the platform client's work).
    body             TEXT NOT NULL DEFAULT '',
    -- A link that the post shares.
    link             TEXT,
    -- JSON list of {"url" or "path", "alt", "type"}.
    media            TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(media) AND json_type(media) = 'array'),
    -- JSON object, typed per platform: title, privacy, tags, first_comment …
    options          TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options) AND json_type(options) = 'object'),
    -- When it was to go out. Lateness and expiry count from here.
    -- (SQLite itself takes February 30 and hour 24: a date must be its own calendar date, and a day has 24 hours.)
    scheduled_at     TEXT NOT NULL CHECK (scheduled_at GLOB '[2-9]???-??-??*' AND julianday(scheduled_at) IS NOT NULL
                                          AND substr(scheduled_at, 12, 2) < '24'
                                          AND date(substr(scheduled_at, 1, 10)) IS substr(scheduled_at, 1, 10)),
    -- The wall-clock time that the person asked for, and its IANA zone. SQLite knows no zones: set scheduled_at too.
    local_time       TEXT,
    timezone         TEXT,
    -- When it is next looked at; starts as scheduled_at and moves forward on a retry. Filled in by a trigger.
    due_at           TEXT CHECK (due_at IS NULL OR due_at GLOB '[2-9]???-??-??*' AND julianday(due_at) IS NOT NULL
                                 AND substr(due_at, 12, 2) < '24'
                                 AND date(substr(due_at, 1, 10)) IS substr(due_at, 1, 10)),
    -- After this it is never sent; null: the default window (24 hours after scheduled_at).
    expires_at       TEXT CHECK (expires_at IS NULL OR expires_at GLOB '[2-9]???-??-??*'
                                 AND coalesce(julianday(expires_at) > julianday(scheduled_at), 0)
                                 AND substr(expires_at, 12, 2) < '24'
                                 AND date(substr(expires_at, 1, 10)) IS substr(expires_at, 1, 10)),
    -- Higher goes first; 0 is normal.
    priority         INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -2147483648 AND 2147483647),
    status           TEXT NOT NULL DEFAULT 'pending' CHECK (status IN
                         ('pending', 'publishing', 'published', 'failed', 'unconfirmed', 'expired', 'canceled')),
    -- How many times a run tried to send it, and after how many it is failed.
    attempts         INTEGER NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 2147483647),
    max_attempts     INTEGER NOT NULL DEFAULT 5 CHECK (max_attempts BETWEEN 1 AND 2147483647),
    -- The run that claimed it last (runs.id); while publishing, the claim holds until lease_until.
    claim            TEXT,
    lease_until      TEXT,
    -- JSON: where an unfinished upload stands, for the next run.
    checkpoint       TEXT CHECK (checkpoint IS NULL OR json_valid(checkpoint)),
    -- The platform's id of the published post, where people see it, and when the platform accepted it.
    platform_post_id TEXT,
    permalink        TEXT,
    published_at     TEXT,
    -- The last failure: its class (rejected, needs_login, rate_limited, timeout …), the platform's code, words.
    error_class      TEXT,
    error_code       TEXT,
    error            TEXT,
    -- JSON list, one short entry per attempt, the last 50.
    history          TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(history) AND json_type(history) = 'array'),
    -- The caller's own id; unique where set, which makes imports repeatable.
    external_ref     TEXT,
    created_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK ((status = 'publishing') = (lease_until IS NOT NULL)),
    CHECK (status <> 'publishing' OR claim IS NOT NULL),
    CHECK (status <> 'published' OR published_at IS NOT NULL)
) STRICT;

CREATE INDEX posts_due ON posts (due_at) WHERE status = 'pending';
CREATE INDEX posts_lease ON posts (lease_until) WHERE status = 'publishing';
CREATE INDEX posts_published ON posts (account_id, published_at) WHERE status = 'published';
CREATE INDEX posts_unsure ON posts (due_at) WHERE status = 'unconfirmed';
CREATE INDEX posts_unconfirmed ON posts (updated_at) WHERE status = 'unconfirmed';
CREATE INDEX posts_failed ON posts (updated_at) WHERE status = 'failed';
CREATE INDEX posts_expired ON posts (updated_at) WHERE status = 'expired';
CREATE UNIQUE INDEX posts_external_ref ON posts (external_ref) WHERE external_ref IS NOT NULL;

CREATE TABLE limits (
    -- platform:NAME, owner:NAME or account:ID.
    scope    TEXT NOT NULL CHECK (scope GLOB 'platform:?*' OR scope GLOB 'owner:?*' OR scope GLOB 'account:?*'),
    action   TEXT NOT NULL DEFAULT 'publish' CHECK (action IN ('publish', 'comment', '*')),
    -- Rolling: a day is 24 hours, a month 30 days.
    "window" TEXT NOT NULL CHECK ("window" IN ('minute', 'hour', 'day', 'month')),
    -- At most so many in the window; 0 holds everything back.
    max      INTEGER NOT NULL CHECK (max BETWEEN 0 AND 2147483647),
    PRIMARY KEY (scope, action, "window")
) STRICT;

-- One row per run that had something due; posts.claim refers to it.
CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    host        TEXT NOT NULL,
    version     TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    due         INTEGER NOT NULL,
    published   INTEGER NOT NULL,
    retry       INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    expired     INTEGER NOT NULL,
    unconfirmed INTEGER NOT NULL,
    released    INTEGER NOT NULL,
    -- JSON: the same counts per platform.
    platforms   TEXT NOT NULL CHECK (json_valid(platforms)),
    exit_code   INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_started ON runs (started_at);

-- Instants in their one form, and due_at.
CREATE TRIGGER posts_fill_insert AFTER INSERT ON posts
WHEN NEW.due_at IS NULL
  OR NEW.scheduled_at IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', NEW.scheduled_at)
  OR NEW.due_at IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', NEW.due_at)
  OR NEW.expires_at IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', NEW.expires_at)
BEGIN
    UPDATE posts SET
        scheduled_at = strftime('%Y-%m-%dT%H:%M:%fZ', NEW.scheduled_at),
        due_at       = strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(NEW.due_at, NEW.scheduled_at)),
        expires_at   = strftime('%Y-%m-%dT%H:%M:%fZ', NEW.expires_at)
    WHERE id = NEW.id;
END;

-- A statement that sets updated_at itself (every one of publisher's own) does not pay for a second write.
CREATE TRIGGER posts_fill_update AFTER UPDATE ON posts
WHEN NEW.updated_at = OLD.updated_at
  OR NEW.scheduled_at <> OLD.scheduled_at
  OR NEW.expires_at IS NOT OLD.expires_at
  OR NEW.due_at IS NOT OLD.due_at AND NEW.due_at IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', NEW.due_at)
BEGIN
    UPDATE posts SET
        scheduled_at = strftime('%Y-%m-%dT%H:%M:%fZ', NEW.scheduled_at),
        due_at       = strftime('%Y-%m-%dT%H:%M:%fZ',
                           CASE WHEN NEW.status = 'pending' AND NEW.scheduled_at <> OLD.scheduled_at
                                     AND NEW.due_at = OLD.due_at
                                THEN NEW.scheduled_at ELSE NEW.due_at END),
        expires_at   = strftime('%Y-%m-%dT%H:%M:%fZ', NEW.expires_at),
        updated_at   = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE id = NEW.id;
END;

CREATE TRIGGER accounts_touch AFTER UPDATE ON accounts
WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE accounts SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

