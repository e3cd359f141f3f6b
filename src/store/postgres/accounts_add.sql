INSERT INTO publisher.accounts AS a (owner, platform, external_id, display_name, timezone, credentials,
                                     token_expires_at, settings)
SELECT r.owner, r.platform, r.external_id, r.display_name, r.timezone, r.credentials, r.token_expires_at, r.settings
FROM jsonb_populate_record(NULL::publisher.accounts, $1::jsonb) r
ON CONFLICT (platform, external_id) DO UPDATE SET
    owner = excluded.owner, display_name = excluded.display_name, timezone = excluded.timezone,
    credentials = coalesce(excluded.credentials, a.credentials),
    token_expires_at = CASE WHEN excluded.credentials IS NULL THEN coalesce(excluded.token_expires_at, a.token_expires_at)
                            ELSE excluded.token_expires_at END,
    -- Whoever is refreshing the old token must not save over the new one.
    token_held_by = CASE WHEN excluded.credentials IS NULL THEN a.token_held_by END,
    token_held_until = CASE WHEN excluded.credentials IS NULL THEN a.token_held_until END,
    settings = excluded.settings,
    status = CASE WHEN a.status = 'needs_login' AND excluded.credentials IS NOT NULL THEN 'active' ELSE a.status END
RETURNING jsonb_build_object('id', a.id, 'status', a.status)::text
