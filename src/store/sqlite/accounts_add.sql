INSERT INTO accounts (owner, platform, external_id, display_name, timezone, credentials, token_expires_at, settings)
VALUES (?1->>'owner', ?1->>'platform', ?1->>'external_id', ?1->>'display_name', ?1->>'timezone',
        ?1->>'credentials', ?1->>'token_expires_at', ?1->'settings')
ON CONFLICT (platform, external_id) DO UPDATE SET
    owner = excluded.owner, display_name = excluded.display_name, timezone = excluded.timezone,
    credentials = coalesce(excluded.credentials, credentials),
    token_expires_at = CASE WHEN excluded.credentials IS NULL THEN coalesce(excluded.token_expires_at, token_expires_at)
                            ELSE excluded.token_expires_at END,
    -- Whoever is refreshing the old token must not save over the new one.
    token_held_by = CASE WHEN excluded.credentials IS NULL THEN token_held_by END,
    token_held_until = CASE WHEN excluded.credentials IS NULL THEN token_held_until END,
    settings = excluded.settings,
    status = CASE WHEN status = 'needs_login' AND excluded.credentials IS NOT NULL THEN 'active' ELSE status END
RETURNING json_object('id', id, 'status', status)
