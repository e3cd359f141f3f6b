-- The columns of a claim, and what holds a post back.
SELECT clock.now, ?1->>'schema',
       (SELECT json_group_array(json_object(
            'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
            'display_name', a.display_name, 'credentials', a.credentials,
            'token_expires_at', a.token_expires_at, 'settings', json(a.settings), 'updated_at', a.updated_at))
        FROM accounts a WHERE a.id IN (SELECT account_id FROM due)),
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM clock
UNION ALL
SELECT NULL, NULL, NULL, NULL, p.id, q.place, q.action, NULL, q.held_by, p.account_id, p.kind, p.body, p.link,
       json(p.media), json(p.options), p.scheduled_at,
       min(strftime('%Y-%m-%dT%H:%M:%fZ', p.scheduled_at, '7 days'),
           coalesce(p.expires_at,
                    strftime('%Y-%m-%dT%H:%M:%fZ', p.scheduled_at, (?1->>'expiry_seconds') || ' seconds'))),
       p.attempts, p.max_attempts, json(p.checkpoint)
FROM queue q
JOIN posts p ON p.id = q.id
