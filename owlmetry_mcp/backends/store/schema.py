"""The store's tables, as a list of migrations.

`PRAGMA user_version` counts how many of them a file has had. A migration that has been released never changes; a new
one is added behind it. Each runs in a transaction of its own.

Every row has a `key`, an integer that other rows refer to and no one outside sees, and an `id`, the API's UUID.
Instants are text as `issues.times` writes it, so that they compare as they stand.
"""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE store (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        token_secret TEXT NOT NULL,  -- signs users' JWTs; leaves the file by no door
        first_team INTEGER REFERENCES teams (key) ON DELETE SET NULL,  -- made by the first start, until an import
        created_at TEXT NOT NULL
    ) STRICT;

    CREATE TABLE teams (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        slug TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL
    ) STRICT;

    CREATE TABLE users (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        email TEXT NOT NULL UNIQUE COLLATE NOCASE,
        name TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT;

    CREATE TABLE memberships (
        user INTEGER NOT NULL REFERENCES users (key) ON DELETE CASCADE,
        team INTEGER NOT NULL REFERENCES teams (key) ON DELETE CASCADE,
        role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
        PRIMARY KEY (user, team)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE projects (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        team INTEGER NOT NULL REFERENCES teams (key),
        name TEXT NOT NULL,
        slug TEXT NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (team, slug)
    ) STRICT;

    CREATE TABLE apps (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project INTEGER NOT NULL REFERENCES projects (key),
        name TEXT NOT NULL,
        platform TEXT NOT NULL CHECK (platform IN ('apple', 'android', 'web', 'backend')),
        bundle_id TEXT,
        created_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX apps_by_project ON apps (project);

    CREATE TABLE api_keys (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        team INTEGER NOT NULL REFERENCES teams (key),
        app INTEGER REFERENCES apps (key),
        key_type TEXT NOT NULL CHECK (key_type IN ('agent', 'client', 'import')),
        name TEXT NOT NULL,
        secret_sha256 TEXT UNIQUE,  -- hex; null for a local agent key, which only whoever opens the file acts as
        permissions TEXT NOT NULL,  -- JSON array
        expires_at TEXT,
        revoked_at TEXT,
        created_at TEXT NOT NULL,
        CHECK (secret_sha256 IS NOT NULL OR key_type = 'agent')
    ) STRICT;
    CREATE UNIQUE INDEX local_agent_keys ON api_keys (team, name) WHERE secret_sha256 IS NULL;

    CREATE TABLE issues (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        app INTEGER NOT NULL REFERENCES apps (key),
        status TEXT NOT NULL
            CHECK (status IN ('new', 'in_progress', 'resolved', 'silenced', 'regressed', 'snoozed')),
        title TEXT NOT NULL,
        source_module TEXT,
        is_dev INTEGER NOT NULL CHECK (is_dev IN (0, 1)),
        occurrence_count INTEGER NOT NULL,
        unique_user_count INTEGER NOT NULL,
        resolved_at_version TEXT,
        first_seen_app_version TEXT,
        last_seen_app_version TEXT,
        first_seen_sdk_version TEXT,
        last_seen_sdk_version TEXT,
        first_seen_at TEXT NOT NULL,
        last_seen_at TEXT NOT NULL,
        last_notified_at TEXT,
        snoozed_at TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        moved INTEGER NOT NULL DEFAULT 0  -- its last row in issue_moves
    ) STRICT;
    CREATE INDEX issues_by_last_seen ON issues (app, is_dev, status, last_seen_at DESC, id DESC);

    -- Where issues stood in lists before their last_seen_at changed, so that a walk through the pages of a list that
    -- began before the change still meets them there. The last 100,000 changes are kept.
    CREATE TABLE issue_moves (
        move INTEGER PRIMARY KEY AUTOINCREMENT,
        issue INTEGER NOT NULL REFERENCES issues (key) ON DELETE CASCADE,
        last_seen_at TEXT NOT NULL,
        since INTEGER NOT NULL  -- the move that had brought it there
    ) STRICT;
    CREATE INDEX issue_moves_by_issue ON issue_moves (issue);
    CREATE TRIGGER issue_moved AFTER UPDATE OF last_seen_at ON issues WHEN new.last_seen_at <> old.last_seen_at BEGIN
        INSERT INTO issue_moves (issue, last_seen_at, since) VALUES (old.key, old.last_seen_at, old.moved);
        UPDATE issues SET moved = last_insert_rowid() WHERE key = old.key;
        DELETE FROM issue_moves WHERE move <= last_insert_rowid() - 100000;
    END;

    CREATE TABLE fingerprints (
        app INTEGER NOT NULL REFERENCES apps (key),
        is_dev INTEGER NOT NULL CHECK (is_dev IN (0, 1)),
        fingerprint TEXT NOT NULL,  -- SHA-256, hex
        issue INTEGER NOT NULL REFERENCES issues (key),
        PRIMARY KEY (app, is_dev, fingerprint)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX fingerprints_by_issue ON fingerprints (issue);

    CREATE TABLE occurrences (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        issue INTEGER NOT NULL REFERENCES issues (key),
        session_id TEXT NOT NULL,
        user_id TEXT,
        app_version TEXT,
        sdk_name TEXT,
        sdk_version TEXT,
        environment TEXT,
        event_id TEXT,
        country_code TEXT,
        timestamp TEXT NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (issue, session_id)
    ) STRICT;
    CREATE INDEX occurrences_by_timestamp ON occurrences (issue, timestamp DESC, id DESC);

    CREATE TABLE comments (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        issue INTEGER NOT NULL REFERENCES issues (key),
        author_type TEXT NOT NULL CHECK (author_type IN ('agent', 'user')),
        author_id TEXT NOT NULL,
        author_name TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        deleted_at TEXT
    ) STRICT;
    CREATE INDEX comments_by_issue ON comments (issue, created_at);

    CREATE TABLE attachments (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        app INTEGER NOT NULL REFERENCES apps (key),
        issue INTEGER REFERENCES issues (key),
        event_id TEXT,
        original_filename TEXT NOT NULL,
        content_type TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        uploaded_at TEXT,
        created_at TEXT NOT NULL,
        deleted_at TEXT
    ) STRICT;
    CREATE INDEX attachments_by_issue ON attachments (issue, created_at DESC, id DESC);

    -- Who changed what; only ever added to.
    CREATE TABLE audit (
        key INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        actor_type TEXT NOT NULL CHECK (actor_type IN ('agent', 'user', 'operator')),  -- operator: the command line
        actor_id TEXT,
        actor_name TEXT,
        action TEXT NOT NULL,
        subject_id TEXT NOT NULL,
        detail TEXT NOT NULL  -- JSON object
    ) STRICT;
    CREATE INDEX audit_by_subject ON audit (subject_id);
    """,
)
