SELECT json_build_object(
    'now', coalesce(($1::jsonb->>'now')::timestamptz, now()),
    'schema', (SELECT max(version) FROM publisher.migrations),
    'held_by', q.held_by,
    'post', CASE WHEN p.id IS NOT NULL THEN json_build_object(
        'id', p.id, 'place', q.place, 'action', q.action, 'kind', p.kind, 'body', p.body, 'link', p.link,
        'media', p.media, 'options', p.options, 'scheduled_at', p.scheduled_at,
        'expires_at', least(p.scheduled_at + interval '7 days',
            coalesce(p.expires_at, p.scheduled_at + make_interval(secs => ($1::jsonb->>'expiry_seconds')::float8))),
        'attempts', p.attempts, 'max_attempts', p.max_attempts, 'checkpoint', p.checkpoint,
        'account', json_build_object(
            'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
            'display_name', a.display_name, 'credentials', a.credentials,
            'token_expires_at', a.token_expires_at, 'settings', a.settings)) END)::text
FROM (VALUES (1)) always (row)
LEFT JOIN queue q ON true
LEFT JOIN publisher.posts p ON p.id = q.id
LEFT JOIN publisher.accounts a ON a.id = p.account_id
ORDER BY q.place
