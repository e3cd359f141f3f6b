SELECT json_object(
    'now', clock.now,
    'schema', ?1->'schema',
    'held_by', q.held_by,
    'post', json_object(
        'id', p.id, 'place', q.place, 'action', q.action, 'kind', p.kind, 'body', p.body, 'link', p.link,
        'media', json(p.media), 'options', json(p.options), 'scheduled_at', p.scheduled_at,
        'expires_at', min(strftime('%Y-%m-%dT%H:%M:%fZ', p.scheduled_at, '7 days'),
            coalesce(p.expires_at,
                     strftime('%Y-%m-%dT%H:%M:%fZ', p.scheduled_at, (?1->>'expiry_seconds') || ' seconds'))),
        'attempts', p.attempts, 'max_attempts', p.max_attempts, 'checkpoint', json(p.checkpoint),
        'account', json_object(
            'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
            'display_name', a.display_name, 'credentials', a.credentials,
            'token_expires_at', a.token_expires_at, 'settings', json(a.settings))))
FROM queue q
JOIN posts p ON p.id = q.id
JOIN accounts a ON a.id = p.account_id, clock
ORDER BY q.place
