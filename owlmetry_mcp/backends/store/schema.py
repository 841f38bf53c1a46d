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
    """
    -- The large tables keep UUIDs as 16 bytes (see ids.py), and sessions by a key. A session may span apps.
    CREATE TABLE sessions (
        key INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE
    ) STRICT;

    CREATE TABLE events (
        key INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        app INTEGER NOT NULL REFERENCES apps (key),
        is_dev INTEGER NOT NULL CHECK (is_dev IN (0, 1)),
        session INTEGER NOT NULL REFERENCES sessions (key),
        client_event_id BLOB,
        api_key INTEGER REFERENCES api_keys (key) ON DELETE SET NULL,
        level TEXT NOT NULL CHECK (level IN ('info', 'debug', 'warn', 'error')),
        timestamp TEXT NOT NULL,
        received_at TEXT NOT NULL,
        content TEXT NOT NULL,  -- JSON object of what no query asks for: message, source_module, app_version, …
        custom_attributes TEXT,  -- JSON object of strings
        burst_begun_at TEXT  -- of a scanned error that came after the first of its burst
    ) STRICT;
    CREATE UNIQUE INDEX events_by_client_event_id ON events (client_event_id, app);
    CREATE INDEX events_by_session ON events (session, timestamp);
    CREATE INDEX events_by_api_key ON events (api_key) WHERE api_key IS NOT NULL;

    -- Error events that the issue scan has yet to take.
    CREATE TABLE unscanned (
        event INTEGER PRIMARY KEY REFERENCES events (key) ON DELETE CASCADE
    ) STRICT;

    -- Events that were pruned, so that they are still known when they are sent again.
    CREATE TABLE pruned (
        client_event_id BLOB NOT NULL,
        app INTEGER NOT NULL REFERENCES apps (key),
        PRIMARY KEY (client_event_id, app)
    ) STRICT, WITHOUT ROWID;

    ALTER TABLE occurrences RENAME TO occurrences_1;
    INSERT INTO sessions (id) SELECT DISTINCT uuid_blob(session_id) FROM occurrences_1;
    CREATE TABLE occurrences (
        key INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        issue INTEGER NOT NULL REFERENCES issues (key),
        session INTEGER NOT NULL REFERENCES sessions (key),
        user_id TEXT,
        app_version TEXT,
        sdk_name TEXT,
        sdk_version TEXT,
        environment TEXT,
        event_id BLOB,  -- of an event that may be gone, or never have been here
        country_code TEXT,
        timestamp TEXT NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (session, issue)
    ) STRICT;
    INSERT INTO occurrences
        SELECT o.key, uuid_blob(o.id), o.issue, s.key, o.user_id, o.app_version, o.sdk_name, o.sdk_version,
            o.environment, uuid_blob(o.event_id), o.country_code, o.timestamp, o.created_at
        FROM occurrences_1 o JOIN sessions s ON s.id = uuid_blob(o.session_id);
    DROP TABLE occurrences_1;
    CREATE INDEX occurrences_by_timestamp ON occurrences (issue, timestamp);
    CREATE INDEX occurrences_by_user ON occurrences (issue, user_id) WHERE user_id IS NOT NULL;

    -- The scan, which changes many issues at once, keeps their moves itself, and says so by changing moved.
    DROP TRIGGER issue_moved;
    CREATE TRIGGER issue_moved AFTER UPDATE OF last_seen_at ON issues
        WHEN new.last_seen_at <> old.last_seen_at AND new.moved = old.moved
    BEGIN
        INSERT INTO issue_moves (issue, last_seen_at, since) VALUES (old.key, old.last_seen_at, old.moved);
        UPDATE issues SET moved = last_insert_rowid() WHERE key = old.key;
        DELETE FROM issue_moves WHERE move <= last_insert_rowid() - 100000;
    END;

    CREATE INDEX attachments_by_event ON attachments (event_id) WHERE event_id IS NOT NULL;

    -- What the issue scan has to tell, for the faces to deliver.
    CREATE TABLE notifications (
        key INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        type TEXT NOT NULL CHECK (type = 'issue.new'),
        reason TEXT NOT NULL CHECK (reason IN ('opened', 'regressed', 'reopened')),
        issue INTEGER NOT NULL REFERENCES issues (key) ON DELETE CASCADE,
        created_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX notifications_by_issue ON notifications (issue);
    """,
    """
    -- What an overview shows, kept by the writes. The instant when someone set the status that an issue is in, where
    -- that is in_progress, silenced or snoozed; and that of the last of its comments that are not deleted.
    ALTER TABLE issues ADD COLUMN status_set_at TEXT;
    ALTER TABLE issues ADD COLUMN commented_at TEXT;
    UPDATE issues SET
        status_set_at = (
            SELECT CASE json_extract(a.detail, '$.after') WHEN issues.status THEN a.at END FROM audit a
            WHERE a.subject_id = issues.id AND a.action = 'issue.status' AND a.actor_name IS NOT NULL
            ORDER BY a.key DESC LIMIT 1
        ),
        commented_at = (SELECT max(created_at) FROM comments WHERE issue = issues.key AND deleted_at IS NULL);
    CREATE TRIGGER comment_added AFTER INSERT ON comments WHEN new.deleted_at IS NULL BEGIN
        UPDATE issues SET commented_at = max(coalesce(commented_at, ''), new.created_at) WHERE key = new.issue;
    END;
    CREATE TRIGGER comment_moved AFTER UPDATE OF issue, deleted_at ON comments BEGIN
        UPDATE issues SET commented_at = (
            SELECT max(created_at) FROM comments WHERE issue = issues.key AND deleted_at IS NULL
        ) WHERE key IN (old.issue, new.issue);
    END;

    CREATE TABLE issue_counts (
        app INTEGER NOT NULL REFERENCES apps (key) ON DELETE CASCADE,
        is_dev INTEGER NOT NULL,
        status TEXT NOT NULL,
        issues INTEGER NOT NULL,
        PRIMARY KEY (app, is_dev, status)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO issue_counts SELECT app, is_dev, status, count(*) FROM issues
        WHERE app IN (SELECT key FROM apps) GROUP BY app, is_dev, status;
    CREATE TRIGGER issue_counted AFTER INSERT ON issues BEGIN
        INSERT INTO issue_counts VALUES (new.app, new.is_dev, new.status, 1)
        ON CONFLICT DO UPDATE SET issues = issues + 1;
    END;
    CREATE TRIGGER issue_recounted AFTER UPDATE OF status ON issues WHEN new.status <> old.status BEGIN
        UPDATE issue_counts SET issues = issues - 1
        WHERE app = old.app AND is_dev = old.is_dev AND status = old.status;
        INSERT INTO issue_counts VALUES (new.app, new.is_dev, new.status, 1)
        ON CONFLICT DO UPDATE SET issues = issues + 1;
    END;
    CREATE TRIGGER issue_uncounted AFTER DELETE ON issues BEGIN
        UPDATE issue_counts SET issues = issues - 1
        WHERE app = old.app AND is_dev = old.is_dev AND status = old.status;
    END;

    CREATE INDEX issues_of_any_status ON issues (app, is_dev, last_seen_at DESC, id DESC);
    CREATE INDEX issues_by_weight
        ON issues (app, is_dev, status, unique_user_count DESC, occurrence_count DESC, last_seen_at DESC, id DESC)
        WHERE status IN ('new', 'regressed');
    CREATE INDEX issues_claimed
        ON issues (app, is_dev, max(coalesce(status_set_at, updated_at), coalesce(commented_at, '')), id)
        WHERE status = 'in_progress';
    CREATE INDEX issues_growing ON issues (app, is_dev, last_seen_at DESC, id DESC)
        WHERE status IN ('silenced', 'snoozed')
        AND last_seen_at >= max(coalesce(status_set_at, ''), coalesce(snoozed_at, ''));

    -- What the occurrences of an issue that has many come to; see summaries.py.
    CREATE TABLE summaries (
        issue INTEGER PRIMARY KEY REFERENCES issues (key) ON DELETE CASCADE,
        users INTEGER NOT NULL,
        tallies TEXT  -- JSON object; null where it would be too long
    ) STRICT;
    """,
    """
    -- What servers have of this store, and it of them, so that a push goes on where it was, and tells its own doing
    -- from others'. An export leaves it out: a store made of one begins anew, and servers know what they have.
    CREATE TABLE carried_apps (
        endpoint TEXT NOT NULL,
        app INTEGER NOT NULL REFERENCES apps (key) ON DELETE CASCADE,
        app_there TEXT NOT NULL,
        project_there TEXT NOT NULL,
        event INTEGER NOT NULL,  -- the key up to which the server has the app's events
        PRIMARY KEY (endpoint, app)
    ) STRICT, WITHOUT ROWID;

    -- How issues of servers were when they were last known to be as here, and a move of theirs that was begun.
    CREATE TABLE carried_statuses (
        endpoint TEXT NOT NULL,
        issue_there TEXT NOT NULL,
        status TEXT NOT NULL,
        resolved_at_version TEXT,
        sent_status TEXT,
        sent_version TEXT,
        at TEXT NOT NULL,
        PRIMARY KEY (endpoint, issue_there)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE carried_comments (
        endpoint TEXT NOT NULL,
        comment INTEGER NOT NULL REFERENCES comments (key) ON DELETE CASCADE,
        comment_there TEXT NOT NULL,
        sha256 TEXT,  -- of what it was last carried as; null of one that came from there
        PRIMARY KEY (endpoint, comment)
    ) STRICT, WITHOUT ROWID;

    -- The server that the store was pulled from.
    CREATE TABLE pulls (
        endpoint TEXT PRIMARY KEY,
        last_event INTEGER NOT NULL,  -- the key of the last event that came from there
        ended_at TEXT  -- null until all is here
    ) STRICT, WITHOUT ROWID;
    """,
)
