-- The columns of a claim, and what holds a post back.
SELECT coalesce(($1::jsonb->>'now')::timestamptz, now()), (SELECT max(version) FROM publisher.migrations),
       coalesce((SELECT json_agg(json_build_object(
           'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
           'display_name', a.display_name, 'credentials', a.credentials,
           'token_expires_at', a.token_expires_at, 'settings', a.settings, 'updated_at', a.updated_at))
       FROM publisher.accounts a WHERE a.id IN (SELECT account_id FROM due)), '[]')::text,
       NULL, NULL::bigint, NULL::bigint, NULL, NULL::timestamptz, NULL, NULL::bigint, NULL, NULL, NULL, NULL, NULL,
       NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::bigint, NULL
UNION ALL
SELECT NULL, NULL, NULL, NULL, p.id, q.place, q.action, NULL, q.held_by, p.account_id, p.kind, p.body, p.link,
       p.media::text, p.options::text, p.scheduled_at,
       least(p.scheduled_at + interval '7 days',
             coalesce(p.expires_at, p.scheduled_at + make_interval(secs => ($1::jsonb->>'expiry_seconds')::float8))),
       p.attempts, p.max_attempts, p.checkpoint::text
FROM queue q
JOIN publisher.posts p ON p.id = q.id
